package recall

import "strings"

// Receipt is what a recipient's program says of a message (RFC 8098). Nobody vouches for it.
type Receipt struct {
	MessageID   string // of the message
	Recipient   string
	Disposition string // "displayed", "deleted", ...
}

// maxDisposition bounds what is kept of it.
const maxDisposition = 60

// ParseReceipt reads the receipt in a mail; ok is false when there is none.
func ParseReceipt(m *Mail) (r Receipt, ok bool) {
	groups := m.groups("disposition-notification", "message/disposition-notification")
	if len(groups) == 0 {
		return r, false
	}
	g := groups[0]
	_, what, _ := strings.Cut(g.Get("Disposition"), ";")
	what = oneLine(strings.TrimSpace(what))
	r = Receipt{MessageID: bracketed.FindString(g.Get("Original-Message-ID")), Recipient: typed(g.Get("Final-Recipient")),
		Disposition: what[:min(len(what), maxDisposition)]}
	return r, r.MessageID != "" && r.Recipient != "" && r.Disposition != ""
}

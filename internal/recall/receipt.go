package recall

import (
	"regexp"
	"strings"
)

// Receipt is what a recipient's program (RFC 8098) or mail server (RFC 3464) says of a message. Nobody vouches for it.
type Receipt struct {
	MessageID   string // of the message
	Recipient   string
	Disposition string // "displayed", "deleted", "delivered", ...
}

// maxDisposition bounds what is kept of it.
const maxDisposition = 60

// ParseReceipt reads the receipt in a mail; ok is false when there is none.
func ParseReceipt(m *Mail) (r Receipt, ok bool) {
	if groups := m.groups("disposition-notification", "message/disposition-notification"); len(groups) > 0 {
		_, what, _ := strings.Cut(groups[0].Get("Disposition"), ";")
		r = Receipt{MessageID: bracketed.FindString(groups[0].Get("Original-Message-ID")), Recipient: typed(groups[0].Get("Final-Recipient")), Disposition: what}
	} else if isReport(m, "delivery-status") && !m.Cut {
		r = delivery(m)
	}
	r.Disposition = oneLine(strings.TrimSpace(r.Disposition))
	r.Disposition = r.Disposition[:min(len(r.Disposition), maxDisposition)]
	return r, r.MessageID != "" && r.Recipient != "" && r.Disposition != ""
}

var fold = regexp.MustCompile(`\r?\n[ \t]+`)

// delivery reads the first recipient of a delivery status notification, and which message it is about.
func delivery(m *Mail) (r Receipt) {
	m.parts(func(p part) bool {
		switch p.kind {
		case "message/delivery-status":
			if groups := readGroups(fold.ReplaceAll(p.body, []byte(" "))); len(groups) > 1 {
				r.Recipient, r.Disposition = typed(groups[1].Get("Final-Recipient")), groups[1].Get("Action")
			}
		case "text/rfc822-headers", "message/rfc822":
			r.MessageID = bracketed.FindString(p.original())
		}
		return true
	})
	return r
}

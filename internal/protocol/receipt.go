package protocol

import (
	"net/textproto"
	"regexp"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// Receipt is what a recipient's program (RFC 8098) or mail server (RFC 3464) says of a message. Nobody vouches for it.
type Receipt struct {
	MessageID   string // of the message
	Recipient   string
	Disposition string // "displayed", "deleted", "delivered", ...
}

// Bounds of what is kept of one mail.
const (
	maxDisposition = 60
	maxReceipts    = 50
)

// ParseReceipts reads what a mail says of recipients of one message; none: it is no receipt.
func ParseReceipts(m *mailmsg.Message) (all []Receipt) {
	var messageID string
	add := func(recipient, what string) {
		r := Receipt{MessageID: messageID, Recipient: recipient, Disposition: sanitize.HeaderValue(strings.TrimSpace(what))}
		r.Disposition = r.Disposition[:min(len(r.Disposition), maxDisposition)]
		if messageID != "" && recipient != "" && r.Disposition != "" && len(all) < maxReceipts {
			all = append(all, r)
		}
	}
	if groups := groups(m, "disposition-notification", "message/disposition-notification"); len(groups) > 0 {
		_, what, _ := strings.Cut(groups[0].Get("Disposition"), ";")
		messageID = policy.BracketedID(groups[0].Get("Original-Message-ID"))
		add(typed(groups[0].Get("Final-Recipient")), what)
	} else if m.IsReport("delivery-status") && !m.Cut {
		var groups []textproto.MIMEHeader
		messageID, groups = delivery(m)
		for _, g := range groups {
			add(typed(g.Get("Final-Recipient")), g.Get("Action"))
		}
	}
	return all
}

var fold = regexp.MustCompile(`\r?\n[ \t]+`)

// delivery reads which message a delivery status notification is about, and what it says of each recipient.
func delivery(m *mailmsg.Message) (messageID string, recipients []textproto.MIMEHeader) {
	m.Parts(func(p mailmsg.Part) bool {
		switch p.Kind {
		case "message/delivery-status":
			if groups := readGroups(fold.ReplaceAll(p.Body, []byte(" "))); len(groups) > 1 {
				recipients = groups[1:]
			}
		case "text/rfc822-headers", "message/rfc822":
			messageID = policy.BracketedID(p.MessageID())
		}
		return true
	})
	return messageID, recipients
}

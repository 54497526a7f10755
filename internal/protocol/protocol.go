// Package protocol reads and writes what gateways say to each other in mails: requests to take a message back,
// statuses, and receipts of delivery and reading. docs/protocol.md specifies the formats, and its vectors are tests
// here. Nothing in it decides: whether a mail is believed is for others.
package protocol

import (
	"bufio"
	"bytes"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// Media types of the parts that gateways exchange; the manual's protocol.md specifies them.
const (
	RequestType = "message/recall-request"
	statusType  = "message/recall-status"
)

// Bounds of what another gateway may say.
const (
	maxAsked = 1000 // recipients of one mail
	maxValue = 1000 // bytes of one field
)

// Request asks another gateway to take a message back from some of its recipients.
type Request struct {
	ID         string
	MessageID  string // of the original, with its angle brackets
	Sender     string // address of the original's author
	Date       string // of the original, as it stands there
	Recipients []string
	Keys       []cancel.Element
	Reason     string
}

// fields are what a part for programs consists of.
type fields struct{ strings.Builder }

// line adds a field, unless it is empty.
func (f *fields) line(name, value string) {
	if value != "" {
		fmt.Fprintf(f, "%s: %s\r\n", name, sanitize.HeaderValue(value))
	}
}

func (q *Request) String() string {
	var b fields
	b.line("Request-Id", q.ID)
	b.line("Original-Message-ID", q.MessageID)
	b.line("Original-Sender", q.Sender)
	b.line("Original-Date", q.Date)
	for _, k := range q.Keys {
		b.line("Cancel-Key", k.String())
	}
	b.line("Reason", q.Reason)
	for _, r := range q.Recipients {
		b.WriteString("\r\n")
		b.line("Original-Recipient", addressType(r)+"; "+r)
		b.line("Action", "delete")
	}
	return b.String()
}

// addressType is the type of an address in such parts (RFC 6533 section 3).
func addressType(address string) string {
	if strings.ContainsFunc(address, func(r rune) bool { return r >= 0x80 }) {
		return "utf-8"
	}
	return "rfc822"
}

// ParseRequest reads the request in a mail; ok is false when there is none, or none to the letter.
func ParseRequest(m *mailmsg.Message) (q Request, ok bool) {
	groups := groups(m, "recall-request", RequestType)
	if len(groups) == 0 {
		return q, false
	}
	g := groups[0]
	q = Request{ID: g.Get("Request-Id"), MessageID: policy.BracketedID(g.Get("Original-Message-ID")),
		Sender: g.Get("Original-Sender"), Date: g.Get("Original-Date"), Reason: g.Get("Reason")}
	for _, value := range g.Values("Cancel-Key") {
		if keys, err := cancel.Parse(value); err == nil {
			q.Keys = append(q.Keys, keys...)
		}
	}
	for _, g := range groups {
		for _, value := range g.Values("Original-Recipient") {
			q.Recipients = append(q.Recipients, typed(value))
		}
	}
	return q, q.ID != "" && q.MessageID != ""
}

// Status is what a gateway did with a request.
type Status struct {
	RequestID  string
	MessageID  string // of the original
	Recipients []StatusOf
}

// StatusOf is the status for one recipient.
type StatusOf struct{ Address, Outcome, Diagnostic string }

// Outcomes of a status.
const (
	StatusRecalled  = "recalled"
	StatusRetracted = "retracted"
	StatusReplaced  = "replaced"
	StatusRead      = "already-read"
	StatusMoved     = "moved"
	StatusNotFound  = "not-found"
	StatusRefused   = "refused"
)

func (s *Status) String() string {
	var b fields
	b.line("Request-Id", s.RequestID)
	b.line("Original-Message-ID", s.MessageID)
	for _, r := range s.Recipients {
		b.WriteString("\r\n")
		b.line("Final-Recipient", addressType(r.Address)+"; "+r.Address)
		b.line("Outcome", r.Outcome)
		b.line("Diagnostic", r.Diagnostic)
	}
	return b.String()
}

// ParseStatus reads the status in a mail; ok is false when there is none.
func ParseStatus(m *mailmsg.Message) (s Status, ok bool) {
	groups := groups(m, "recall-status", statusType)
	if len(groups) == 0 {
		return s, false
	}
	s = Status{RequestID: groups[0].Get("Request-Id"), MessageID: policy.BracketedID(groups[0].Get("Original-Message-ID"))}
	for _, g := range groups[1:] {
		if to := typed(g.Get("Final-Recipient")); to != "" {
			s.Recipients = append(s.Recipients, StatusOf{to, strings.ToLower(g.Get("Outcome")), g.Get("Diagnostic")})
		}
	}
	return s, s.RequestID != ""
}

// groups returns the groups of fields in the first part of this kind. A field that is said twice in a group where only
// one can count spoils all of it: programs would differ in which they believe.
func groups(m *mailmsg.Message, reportType, kind string) (all []textproto.MIMEHeader) {
	if m.Cut || !m.IsReport(reportType) {
		return nil
	}
	m.Parts(func(p mailmsg.Part) bool {
		if p.Kind == kind {
			all = readGroups(p.Body)
		}
		return p.Kind != kind
	})
	for _, g := range all {
		for name, values := range g {
			if len(values) > 1 && name != "Cancel-Key" && name != "Original-Recipient" {
				return nil
			}
		}
	}
	return all
}

// readGroups reads groups of fields with empty lines between; nil when a line is none, or when there is too much.
func readGroups(body []byte) (all []textproto.MIMEHeader) {
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(make([]byte, 0, 4096), 2*maxValue)
	open := false
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if line == "" {
			open = false
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || name == "" || strings.ContainsAny(name, " \t") || len(value) > maxValue {
			return nil
		}
		if !open {
			all, open = append(all, textproto.MIMEHeader{}), true
		}
		if len(all) > maxAsked+1 {
			return nil
		}
		all[len(all)-1].Add(name, strings.TrimSpace(sanitize.HeaderValue(value)))
	}
	if lines.Err() != nil {
		return nil
	}
	return all
}

// typed takes the type from an address: "rfc822; b@x.test".
func typed(value string) string {
	_, address, _ := strings.Cut(value, ";")
	return strings.TrimSpace(address)
}

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

// ParseReceipts reads what a mail says of recipients of one message; none: it is not a receipt.
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

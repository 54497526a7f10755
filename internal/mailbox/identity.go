package mailbox

import (
	"bufio"
	"bytes"
	"net/mail"
	"net/textproto"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
)

// What is asked for to know a message.
var (
	identity   = section(16<<10, "MESSAGE-ID", "FROM", "DATE")
	trace      = section(16, "RECEIVED", "DELIVERED-TO") // it only has to be there
	wholeTrace = section(64<<10, "RECEIVED", "DELIVERED-TO", strings.ToUpper(mark.Field))
)

// trace is what is asked for of the way that a message came.
func (t Target) trace() *imap.FetchItemBodySection {
	if t.Hold != "" {
		return wholeTrace
	}
	return trace
}

func section(size int64, fields ...string) *imap.FetchItemBodySection {
	return &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: fields, Peek: true,
		Partial: &imap.SectionPartial{Size: size}}
}

// is says whether a message is the target: by its Message-ID, author and date, each there once, and by the hold that it
// left. One without trace never came by mail: the author's own copy, when he wrote to himself or to colleagues.
func (t Target) is(header, trace []byte) bool {
	fields, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.Clone(header),
		"\r\n\r\n"...)))).ReadMIMEHeader()
	if err != nil || len(bytes.TrimSpace(trace)) == 0 || t.Hold != "" &&
		!bytes.Contains(trace, []byte(" id "+t.Hold+".")) {
		return false
	}
	id, from, date := fields["Message-Id"], fields["From"], fields["Date"]
	if len(id) != 1 || len(from) != 1 || len(date) > 1 || policy.MessageID(id[0]) != t.MessageID {
		return false
	}
	author, err := mailmsg.Address(from[0])
	return err == nil && holdstore.Same(author, t.From) && t.dated(date)
}

// dated compares moments: gateways may write the same one in another way.
func (t Target) dated(field []string) bool {
	if t.Date == "" {
		return true
	}
	if len(field) == 0 {
		return false
	}
	here, err := mail.ParseDate(field[0])
	there, wrong := mail.ParseDate(t.Date)
	if err != nil || wrong != nil {
		return strings.TrimSpace(field[0]) == strings.TrimSpace(t.Date)
	}
	return here.Equal(there)
}

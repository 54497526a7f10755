package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/attachment"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
)

// Bounds of the header block of one message; what is larger passes unheld, as with hold.max_size.
const (
	maxHeader = 16 << 20 // bytes of all fields
	maxFields = 64 << 10 // empty ones cost memory as well
	maxMarks  = 50       // marks that are checked: a loop has ended long before
)

var headerTooLarge = policy.Reason{
	Code: policy.TooLarge,
	Text: fmt.Sprintf("its header has more than %d MiB or %d fields", maxHeader>>20, maxFields),
}

// field takes an L frame: the name, NUL, every byte behind the colon, NUL. A NUL inside cuts nothing.
func (s *session) field(data []byte) {
	m := &s.msg
	if m.size += len(data); m.size > maxHeader || len(m.fields) >= maxFields {
		m.oversize = true
		return
	}
	if m.starved || !s.hold(len(data)+fieldCost) {
		m.starved, m.fields = true, nil
		m.leavePlace(s.server)
		return
	}
	name, value, _ := bytes.Cut(data, []byte{0})
	value = bytes.TrimSuffix(value, []byte{0})
	value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	m.fields = append(m.fields, policy.Field{Name: string(name), Value: string(value)})
}

// Header is never called: the adapter takes the fields.
func (s *session) Header(string, string, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// Headers decides, and begins the hold.
func (s *session) Headers(_ textproto.MIMEHeader, mod *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	m := &s.msg
	m.sub.QueueID = s.macros["i"]
	m.sub.MessageID = policy.MessageID(first(m.fields, "Message-ID"))
	m.sub.Subject = mailmsg.Subject(raw(m.fields, "Subject"))
	m.sub.Date = mailmsg.Shorten(first(m.fields, "Date"), maxDate)
	m.sub.Author = author(raw(m.fields, "From"), m.sub.Sender.Address)
	m.stamps = stamps(m.fields)
	m.judged = true
	if m.starved || !s.hold(int(m.envelopeCost)) {
		return s.starve(mod), nil
	}
	if m.arrival != nil {
		return s.look(), nil
	}
	if len(m.sub.Recipients) == 0 {
		return s.deferred(errors.New("the MTA named no recipient: nothing could be released")), nil
	}
	m.verdict = s.decide(s.facts(policy.AtHeaders))
	if n := s.wishes(); n > maxForged {
		s.server.Log.Passed(m.sub, policy.Reason{Code: policy.TooLarge,
			Text: fmt.Sprintf("refused: %d fields %s", n, strings.Join(m.verdict.Wishes, " and "))})
		s.reset()
		return replyWith("550 5.7.1 the message has too many wishes for its hold"), nil
	}
	if m.verdict.Files {
		m.files = attachment.New(m.fields)
	}
	if s.mayCommand() {
		return gomilter.RespContinue, nil
	}
	switch {
	case m.oversize && m.verdict.Hold:
		return s.letGo(headerTooLarge), nil
	case m.command != nil:
		if !m.verdict.Hold {
			m.passes = m.verdict.Reason
		}
		return gomilter.RespContinue, nil
	case !m.verdict.Hold:
		return s.letGo(m.verdict.Reason), nil
	default:
		s.begin()
		return gomilter.RespContinue, nil
	}
}

// header returns the header block as it is held: without wishes.
func (s *session) header() []byte {
	var b bytes.Buffer
	b.Grow(s.msg.size + 3*len(s.msg.fields))
	for _, f := range s.msg.fields {
		if !s.msg.wish(f.Name) {
			b.WriteString(f.Name + ":" + f.Value + "\r\n")
		}
	}
	return b.Bytes()
}

// wish says whether a field is one of those with a wish, which are removed.
func (m *message) wish(field string) bool {
	return slices.ContainsFunc(m.verdict.Wishes, func(name string) bool { return holdstore.Same(field, name) })
}

// wishes counts the fields that must be removed from a message that travels on.
func (s *session) wishes() (n int) {
	for _, name := range s.msg.verdict.Wishes {
		n += s.fields(name)
	}
	return n
}

// fields counts the fields of a name, where the MTA lets them be removed.
func (s *session) fields(name string) (n int) {
	if !s.conn.Allows(gomilter.OptChangeHeader) {
		return 0
	}
	for _, f := range s.msg.fields {
		if holdstore.Same(f.Name, name) {
			n++
		}
	}
	return n
}

// dropWish removes the wishes from a message that travels on, which only the end of the message allows; the last field
// first, since each removal renumbers those behind. A write that fails breaks the connection, and the reply with it.
func (s *session) dropWish(mod *gomilter.Modifier) {
	for _, name := range s.msg.verdict.Wishes {
		for n := s.fields(name); n > 0; n-- {
			if mod.ChangeHeader(n, name, "") != nil {
				return
			}
		}
	}
}

// stamps lists what could be our mark, in the id clauses of Received fields and of our own. Whether one is, its body
// tells.
func stamps(fields []policy.Field) (all []string) {
	for _, f := range fields {
		if !holdstore.Same(f.Name, "Received") && !holdstore.Same(f.Name, mark.Field) {
			continue
		}
		words := strings.Fields(f.Value)
		for i := 0; i+1 < len(words); i++ {
			stamp := strings.TrimSuffix(words[i+1], ";")
			if strings.EqualFold(words[i], "id") && mark.IsStamp(stamp) && len(all) < maxMarks {
				all = append(all, stamp)
			}
		}
	}
	return all
}

// ours says, now that all of its body is known, whether the message has left a hold of ours before.
func (s *session) ours() bool {
	m := &s.msg
	if len(m.stamps) == 0 {
		return false
	}
	content := mark.Content(m.digest.Sum(), m.fields)
	m.known = slices.ContainsFunc(m.stamps, func(stamp string) bool {
		return s.server.Mark.Genuine(stamp, content, m.sub.Subject) && s.leftNow(stamp)
	})
	return m.known
}

// A mark counts for a while after its message has left: filters bring a message back at once, and whoever keeps the
// mark could send the same text to others later. What comes back later is held once more; and so is what its own sender
// submits again: nothing that brings a message back logs in as them.
const (
	markTime = time.Hour
	leftTime = 5 * time.Second // for the store to answer
)

// leftNow says whether the message of a genuine stamp has just left. While nobody can tell, it has: it is one of ours.
func (s *session) leftNow(stamp string) bool {
	if s.server.Left == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(s.ctx, leftTime)
	defer cancel()
	id, _, _ := strings.Cut(stamp, ".")
	at, login, err := s.server.Left(ctx, id)
	if err != nil {
		return !errors.Is(err, holdstore.ErrNotFound)
	}
	again := login != "" && holdstore.Same(login, s.msg.sub.Login)
	return time.Since(at) <= markTime && !again
}

// lookInto takes a piece of the body, when something depends on what is in it.
func (s *session) lookInto(chunk []byte) {
	if s.msg.files != nil {
		s.msg.files.Take(chunk)
	}
	if len(s.msg.stamps) > 0 {
		s.msg.digest.Write(chunk)
	}
}

// first returns the first field of a name, in valid UTF-8.
func first(fields []policy.Field, name string) string {
	return strings.TrimSpace(strings.ToValidUTF8(raw(fields, name), "?"))
}

// raw returns the first field of a name, every byte of it.
func raw(fields []policy.Field, name string) string {
	for _, f := range fields {
		if holdstore.Same(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// author is the one address in From, "" when it is the sender's, or when From does not name exactly one.
func author(from, sender string) string {
	a, err := mailmsg.Address(from)
	if err != nil || holdstore.Same(a, sender) || len(a) > maxAuthor {
		return ""
	}
	return a
}

// maxAuthor is the longest address (RFC 5321 section 4.5.3.1).
const maxAuthor = 320

// maxDate bounds what is kept of Date in the record of a hold, in bytes.
const maxDate = 500

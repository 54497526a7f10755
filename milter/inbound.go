package milter

import (
	"context"
	"errors"
	"fmt"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// Inbound looks at mail that comes in; inbound.Gate says what each method promises.
type Inbound interface {
	Examine(m *inbound.Mail) inbound.Needs
	Judge(ctx context.Context, m *inbound.Mail) inbound.Disposition
	Remember(m *inbound.Mail)
}

// arrival is a message that comes in: its body is only wanted when it may be a recall command, or to know it again for
// a claw back.
type arrival struct {
	mail inbound.Mail
	look inbound.Needs
}

// maxForged is how many fields are taken out of one message. Others have a few; an MTA looks for each from the
// beginning of the header, and thousands keep it busy for minutes.
const maxForged = 100

// look asks at the end of the headers what the message needs. Most need nothing, and end here for us.
func (s *session) look() gomilter.Response {
	m := &s.msg
	if m.oversize { // what can't be looked at whole could hide a forged verdict
		s.server.Log.Passed(m.sub, policy.Reason{Code: policy.TooLarge, Text: "refused: its header is too large"})
		s.reset()
		return replyWith("552 5.3.4 the header of the message is too large")
	}
	m.arrival.mail = inbound.Mail{Submission: m.sub, Message: mailmsg.Message{Fields: m.fields}}
	m.arrival.look = s.server.Inbound.Examine(&m.arrival.mail)
	if n := len(m.arrival.look.Strip); n > maxForged {
		s.server.Log.Passed(m.sub, policy.Reason{Code: policy.TooLarge,
			Text: fmt.Sprintf("refused: %d fields that only this gateway may write", n)})
		s.reset()
		return replyWith("550 5.7.1 the message has too many fields that only this gateway may write")
	}
	if len(m.arrival.look.Strip) == 0 && m.arrival.look.Body == 0 && !m.arrival.look.Print {
		return s.arrived()
	}
	return gomilter.RespContinue
}

// arrived lets the message come in.
func (s *session) arrived() gomilter.Response {
	s.server.Inbound.Remember(&s.msg.arrival.mail)
	sub := s.msg.sub
	s.reset()
	s.server.Log.Skipped(sub, policy.Reason{Code: policy.Inbound, Text: "inbound"})
	return gomilter.RespAccept
}

// keep takes a piece of the body of what may be a command.
func (s *session) keep(chunk []byte) {
	a := s.msg.arrival
	if a.look.Print {
		a.mail.Print.Write(chunk)
	}
	switch {
	case a.look.Body == 0 || a.mail.Cut:
	case len(a.mail.Body)+len(chunk) > a.look.Body && a.look.Body < mailmsg.MaxBody:
		a.look.Body, a.mail.Body = 0, nil // ordinary mail
	case len(a.mail.Body)+len(chunk) > a.look.Body:
		a.mail.Cut = true
	case !s.hold(len(chunk)):
		s.msg.starved, a.mail.Body = true, nil
	default:
		a.mail.Body = append(a.mail.Body, chunk...)
	}
}

// arrive ends the message: forged fields go, a command gets its verdict.
func (s *session) arrive(mod *gomilter.Modifier) gomilter.Response {
	a := s.msg.arrival
	if !s.msg.judged {
		return s.deferred(errors.New("the MTA never ended the headers"))
	}
	var r inbound.Disposition
	if a.look.Body > 0 {
		ctx, cancel := context.WithTimeout(s.ctx, storeBudget)
		defer cancel()
		if err := s.meanwhile(func() { r = s.server.Inbound.Judge(ctx, &a.mail) }); err != nil {
			return s.deferred(err)
		}
	}
	switch {
	case r.Reply != "":
		s.reset()
		return replyWith(r.Reply)
	case r.Done:
		sub := s.msg.sub
		s.reset()
		s.server.Log.Skipped(sub, policy.Reason{Code: policy.Recall, Text: "a recall command that has served"})
		return gomilter.RespDiscard
	}
	if err := s.change(mod, a.look, r); err != nil {
		return s.deferred(err)
	}
	if r.Command {
		sub := s.msg.sub
		s.reset()
		s.server.Log.Skipped(sub, policy.Reason{Code: policy.Recall, Text: "inbound recall command"})
		return gomilter.RespAccept
	}
	return s.arrived()
}

// change tells the MTA what to take out of the header and what to put on top of it.
func (s *session) change(mod *gomilter.Modifier, look inbound.Needs, r inbound.Disposition) error {
	const all = gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptQuarantine
	if !s.conn.Allows(all) {
		return errors.New("the MTA does not let milters change headers: allow it in its milter settings")
	}
	for _, f := range look.Strip {
		if err := mod.ChangeHeader(f.N, f.Name, ""); err != nil {
			return err
		}
	}
	for _, f := range r.Add {
		if err := mod.InsertHeader(0, f.Name, " "+f.Value); err != nil {
			return err
		}
	}
	if r.Quarantine != "" {
		return mod.Quarantine(r.Quarantine)
	}
	return nil
}

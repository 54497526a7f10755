package milter

import (
	"context"

	gomilter "github.com/emersion/go-milter"
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// Commands finds mails that ask for a recall among those that leave, and acts on them; recall.Desk says what each
// method promises.
type Commands interface {
	Examine(sub holdstore.Submission, fields []policy.Field) recall.Candidate
	Act(ctx context.Context, m *recall.Mail) (recall.Disposition, error)
	Held(ctx context.Context, m *recall.Mail, r holdstore.Committed)
}

// command is what may be one: it waits in memory until its end says what is left of it as a message.
type command struct {
	mail    recall.Mail
	most    int              // bytes of its body that are kept
	removed []holdstore.Path // recipients that do not get it
	obeyed  bool             // the desk has done what it asks for
}

// unheard says whether it is a mail to the recall address that the desk has not acted on.
func (c *command) unheard() bool { return c != nil && !c.obeyed && len(c.removed) > 0 }

// mayCommand looks at the header of an outbound message; true: a message for nobody but the recall address.
func (s *session) mayCommand() (whole bool) {
	m := &s.msg
	if s.server.Commands == nil || !m.verdict.Outbound || m.oversize {
		return false
	}
	concern := s.server.Commands.Examine(m.sub, m.fields)
	if !concern.May {
		return false
	}
	others := concern.Others
	m.command = &command{most: concern.Body,
		mail: recall.Mail{Submission: m.sub, Message: mailmsg.Message{Fields: m.fields}}}
	s.leaveOnly(others)
	if len(others) > 0 && len(m.command.removed) > 0 {
		m.verdict = s.decide(s.facts(policy.AtHeaders))
	}
	return len(others) == 0
}

// leaveOnly takes all other recipients out of the envelope.
func (s *session) leaveOnly(keep []holdstore.Path) {
	c, stays := s.msg.command, map[string]bool{}
	for _, k := range keep {
		stays[k.Address] = true
	}
	for _, r := range s.msg.sub.Recipients {
		if !stays[r.Address] {
			c.removed = append(c.removed, r)
		}
	}
	s.msg.sub.Recipients = keep
}

// collect keeps a piece of the body for the desk; a message that gets too long for a command goes on to the store.
func (s *session) collect(chunk []byte) {
	m := &s.msg
	c, most := &m.command.mail, m.command.most
	switch {
	case c.Cut:
		c.Skip(chunk)
		s.gather(chunk)
	case m.starved || !s.hold(min(len(chunk), most-len(c.Body))):
		m.starved, c.Body = true, nil
	case len(c.Body)+len(chunk) <= most:
		c.Body = append(c.Body, chunk...)
	default:
		c.Skip(chunk)
		if s.begin(); m.put != nil {
			s.gather(c.Body)
			s.gather(chunk)
		}
	}
}

// obey has a possible command acted on; done: the MTA gets the reply r, and nothing of the message is left.
func (s *session) obey(mod *gomilter.Modifier) (r gomilter.Response, done bool) {
	m := &s.msg
	c := m.command
	c.mail.Holds = m.verdict.Hold && !m.passes.Given()
	ctx, cancel := context.WithTimeout(s.ctx, storeBudget)
	defer cancel()
	var disposition recall.Disposition
	var err error
	if wrong := s.meanwhile(func() { disposition, err = s.server.Commands.Act(ctx, &c.mail) }); wrong != nil {
		err = wrong
	}
	switch c.obeyed = err == nil; {
	case err != nil:
		return s.storeFailed(mod, err), true
	case disposition.Refusal != "":
		s.reset()
		return replyWith(disposition.Refusal), true
	case len(disposition.Keep) == 0:
		s.reset()
		return gomilter.RespDiscard, true
	}
	s.leaveOnly(disposition.Keep)
	if m.replaces = disposition.Replaces; m.put == nil && c.mail.Holds {
		s.begin()
		s.gather(c.mail.Body)
	}
	return nil, false
}

// begin begins the hold.
func (s *session) begin() {
	m := &s.msg
	if m.verdict.Hold && !m.passes.Given() && len(m.sub.Recipients) > 0 {
		m.ctx, m.cancel = context.WithCancel(s.ctx)
		m.put = s.server.Store.Put(m.sub, s.header())
	}
}

// dropRecipients tells the MTA who does not get a message that travels on.
func (s *session) dropRecipients(mod *gomilter.Modifier) {
	if s.msg.command == nil {
		return
	}
	for _, r := range s.msg.command.removed {
		if mod.DeleteRecipient(r.Address) != nil {
			return
		}
	}
}

// tellHeld tells the desk that a message is held: it may want to say so, or what the message has replaced.
func (s *session) tellHeld(r holdstore.Committed) {
	m := &s.msg
	if s.server.Commands == nil {
		return
	}
	mail := &recall.Mail{Submission: m.sub, Holds: true, Message: mailmsg.Message{Fields: m.fields}}
	if m.command != nil {
		mail = &m.command.mail
	}
	mail.Rule = m.verdict.Rule
	ctx, cancel := context.WithTimeout(s.ctx, storeBudget)
	defer cancel()
	if err := s.meanwhile(func() { s.server.Commands.Held(ctx, mail, r) }); err != nil {
		s.server.Log.Trouble("hold "+r.ID+": its sender was told nothing", err)
	}
}

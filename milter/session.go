package milter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/attachment"
	"github.com/recall-milter/recall-milter/milter/internal/wire"
	"github.com/recall-milter/recall-milter/policy"
)

// session is one connection of the MTA: state of the connection, and of the message that is going on.
type session struct {
	server *Server
	ctx    context.Context
	conn   *wire.Conn

	client holdstore.Client
	macros map[string]string
	raw    []byte              // data of the frame that go-milter is handling
	last   holdstore.Committed // of the hold whose DISCARD the MTA has not proven to have read

	macroBytes int // of names and values

	msg message
}

// message is what is gathered of one message.
type message struct {
	open     bool      // from MAIL until its outcome is known
	came     time.Time // when the policy was first asked, so that one moment decides all along
	sub      holdstore.Submission
	envelope int // bytes of sender and recipients
	fields   []policy.Field
	size     int  // bytes of fields
	oversize bool // more fields came than are kept
	starved  bool // there was no room for its fields
	pending  int  // bytes of the body that count
	judged   bool // the end of the headers was seen

	needs        int64 // bytes of room
	place        int   // which of sizes it has, counted from 1; 0: none yet
	envelopeCost int64 // bytes of room that its recipients need
	envelopeRoom int64 // of them, those that were taken from what all envelopes share

	verdict  policy.Verdict
	answers  map[policy.Question]policy.Answer // of socketmaps and of the memory of correspondents
	passes   policy.Reason                     // why it will pass unheld, and is not gathered further; zero: it will not
	put      Put
	ctx      context.Context    // of the pieces on their way, which outlive the callback that sent them
	cancel   context.CancelFunc // nil before put
	waited   time.Duration      // for the store, so far
	err      error              // why the message can't be held
	command  *command           // nil: it asks for no recall
	arrival  *arrival           // nil: it does not come in
	replaces []string           // the holds that this message takes back

	stamps []string             // what could be our mark
	digest holdstore.BodyDigest // of the body, when there are stamps
	files  *attachment.Reader   // nil: no rule asks for the files in it
	known  bool                 // a stamp is genuine: the message has left a hold before
}

// drop ends what is on its way to the store.
func (m *message) drop() {
	if m.cancel != nil {
		defer m.cancel()
	}
	if m.put != nil {
		m.put.Abandon()
	}
	m.put = nil
}

// Frame takes each frame before go-milter does.
func (s *session) Frame(code byte, data []byte) error {
	if err := s.inOrder(code); err != nil {
		return err
	}
	s.seen(code)
	s.raw = data
	switch code {
	case 'D':
		return s.macro(data)
	case 'L':
		s.field(data)
	case 'K':
		s.newConnection()
	case 'C':
		return s.connected(data)
	}
	return nil
}

// Failed logs why the session ends.
func (s *session) Failed(err error) {
	s.server.Log.Trouble("a milter session is closed: the MTA does what milter_default_action says", err)
}

// seen is told of every frame: the first that can only follow a reply proves that the reply was read.
func (s *session) seen(code byte) {
	if s.last.ID != "" && strings.IndexByte("AMQK", code) >= 0 {
		s.server.Store.Confirm(s.last)
		s.last = holdstore.Committed{}
	}
}

// inOrder refuses a frame that can't come here: what was gathered would not be what the MTA has.
func (s *session) inOrder(code byte) error {
	switch m := &s.msg; {
	case !m.open && strings.IndexByte("RLNBE", code) >= 0:
		return fmt.Errorf("milter command %q without a message", code)
	case m.judged && strings.IndexByte("RLN", code) >= 0:
		return fmt.Errorf("milter command %q after the end of the headers", code)
	}
	return nil
}

// reset forgets the message; what is staged of it is dropped.
func (s *session) reset() {
	s.forget()
	s.forgetMacros()
	s.conn.Idle()
}

// forget drops the message, and what is staged of it.
func (s *session) forget() {
	m := s.msg
	s.msg = message{}
	m.drop()
	m.letGoOf(s.server)
}

// storeFailed does what on_store_failure says, at the end of the message. A message that might already be held is
// never also delivered: it could be recalled and still arrive. Nor is a recall command delivered that nobody has acted
// on: it would end there, and its sender would never hear of it.
func (s *session) storeFailed(mod *gomilter.Modifier, err error) gomilter.Response {
	if s.server.OnStoreFailure != "deliver" || errors.Is(err, holdstore.ErrMaybeHeld) || s.msg.command.unheard() {
		return s.deferred(err)
	}
	s.dropWish(mod)
	s.dropRecipients(mod)
	sub := s.msg.sub
	s.reset()
	s.unheld(sub)
	s.server.Log.Unheld(sub, err)
	return gomilter.RespAccept
}

// deferred leaves the message with the client.
func (s *session) deferred(err error) gomilter.Response {
	sub := s.msg.sub
	s.reset()
	s.server.Log.Deferred(sub, err)
	if errors.Is(err, holdstore.ErrQuota) {
		return replyWith("452 4.2.2 too much of your mail waits to be sent: send this again when some has left, or ask " +
			"your administrator")
	}
	return replyWith("451 4.3.0 the message can't be held, try again later")
}

// replyWith answers the MTA with an SMTP reply of our own words, 4xx or 5xx; the MTA takes "%" for a format.
func replyWith(text string) gomilter.Response {
	return gomilter.NewResponseStr('y', strings.ReplaceAll(text, "%", "%%"))
}

// starve ends a message for which there is no room in memory.
func (s *session) starve(mod *gomilter.Modifier) gomilter.Response {
	if s.msg.arrival != nil {
		return s.deferred(errBusy)
	}
	return s.storeFailed(mod, errBusy)
}

// letGo lets the message go on unheld: at once, or when a wish has to be removed from it, at its end.
func (s *session) letGo(reason policy.Reason) gomilter.Response {
	if s.wishes() == 0 {
		return s.pass(reason)
	}
	s.msg.passes = reason
	return gomilter.RespContinue
}

// travelOn lets the message go on unheld at its end, without what is not for the world.
func (s *session) travelOn(mod *gomilter.Modifier) gomilter.Response {
	s.dropWish(mod)
	s.dropRecipients(mod)
	return s.pass(s.msg.passes)
}

// pass lets the message go on unheld, now.
func (s *session) pass(reason policy.Reason) gomilter.Response {
	sub, known := s.msg.sub, s.msg.known
	s.reset()
	if !known {
		s.unheld(sub)
	}
	s.server.Log.Passed(sub, reason)
	return gomilter.RespAccept
}

// unheld tells who sent a message that goes on without a hold.
func (s *session) unheld(sub holdstore.Submission) {
	if s.server.Unheld != nil {
		s.server.Unheld(sub)
	}
}

// Abort forgets the message.
func (s *session) Abort(*gomilter.Modifier) error {
	defer s.guardEnd()
	s.reset()
	return nil
}

// decide asks the policy, and what it wants to know of others.
func (s *session) decide(f policy.Facts) policy.Verdict {
	f.Answers, f.Earlier = s.msg.answers, &policy.Earlier{}
	v := s.server.Policy().Decide(f)
	if len(v.Asks) == 0 || s.server.Ask == nil {
		return v
	}
	f.Answers = s.server.Ask(s.ctx, v.Asks)
	maps.Copy(f.Answers, s.msg.answers)
	s.msg.answers = f.Answers
	return s.server.Policy().Decide(f)
}

func (s *session) facts(known policy.Stage) policy.Facts {
	sub := s.msg.sub
	if s.msg.came.IsZero() {
		s.msg.came = time.Now()
	}
	f := policy.Facts{Known: known, Login: sub.Login, DaemonName: sub.Daemon, Sender: sub.Sender.Address,
		Now: s.msg.came}
	f.Client, _ = netip.ParseAddr(sub.Client.Address)
	if s.server.OwnGrace != nil {
		f.OwnGrace = s.server.OwnGrace(s.ctx, sub.Login, sub.Sender.Address)
	}
	if known >= policy.AtHeaders {
		f.Header = s.msg.fields
		for _, r := range sub.Recipients {
			f.Recipients = append(f.Recipients, r.Address)
		}
		f.Ours = s.msg.known
		if f.Client.IsValid() && f.Client.Unmap().IsLoopback() && f.Login == "" {
			if from, ok := origin(s.msg.fields, sub.Gateway); ok {
				f.Client = from
			}
		}
	}
	return f
}

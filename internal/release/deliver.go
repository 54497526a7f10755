package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// portMost is how many recipients the re-injection port takes in one transaction, as it has shown; 0: any number. A
// daemon believes it until it ends: a port that takes more by then costs a few more transactions.
type portMost struct{ n atomic.Int64 }

func (p *portMost) of(recipients []int) []int {
	if n := int(p.n.Load()); n > 0 && n < len(recipients) {
		return recipients[:n]
	}
	return recipients
}

// learn keeps what the port has shown, and says whether it is news.
func (p *portMost) learn(most int) bool { return most > 0 && p.n.Swap(int64(most)) != int64(most) }

// round is what one transaction brought, by the recipients' indexes in their hold.
type round struct {
	reply   string // of the final dot
	detail  string // one line about all of it
	refused map[int]error
	again   []int // to be offered again at once: the port has not judged them
	err     error // concerns all that are not in refused
}

// sendAll sends the message of a hold to recipients, in as many transactions as the port needs, and fills in the
// results. What one transaction brought is in the store before the next begins, so that a crash repeats one transaction
// at most. left: others are still to be sent to, at once, but not by us, since more said no or the store is away.
func (s *sender) sendAll(ctx context.Context, c *holdstore.Claim, todo []int, results map[int]holdstore.Result,
	more func() bool) (detail string, left bool) {
	l, all := s.loop, len(todo)
	for {
		now := l.most.of(todo)
		r := s.round(ctx, c, now)
		if r.err != nil {
			s.judge(c, todo, r, results)
			return r.detail, false
		}
		s.judge(c, slices.DeleteFunc(slices.Clone(now), func(i int) bool { return slices.Contains(r.again, i) }), r, results)
		if todo = slices.Concat(r.again, todo[len(now):]); len(todo) == 0 {
			return r.detail, false
		}
		why := l.store.Progress(ctx, c, results)
		if why == nil && !more() {
			why = errors.New("the daemon stops")
		}
		if why != nil {
			return fmt.Sprintf("%d of %d recipients are settled, the others follow: %v", all-len(todo), all, why), true
		}
	}
}

// round offers the message to some recipients. A port that ends the connection before it has the message (421, after
// too many unknown recipients or recipients too many) is asked again at once when that brings the others further: some
// recipients were refused for good, or it is known now how many it takes.
func (s *sender) round(ctx context.Context, c *holdstore.Claim, now []int) round {
	got, err := s.sendHold(ctx, c, now)
	r := round{reply: got.reply, detail: got.summary(err), refused: map[int]error{}}
	final := false
	for n, no := range got.refused {
		r.refused[now[n]] = no
		final = final || permanent(no)
	}
	switch news := s.loop.most.learn(got.most); {
	case err == nil:
		for _, n := range got.again {
			r.again = append(r.again, now[n])
		}
	case brokeOff(got, err) && (final || news):
		r.again = slices.DeleteFunc(slices.Clone(now), func(i int) bool { return r.refused[i] != nil })
	default:
		r.err = err
	}
	return r
}

// brokeOff says whether the port has ended the connection before it had any of the content.
func brokeOff(got sent, err error) bool {
	var no *refusal
	return !got.content && (errors.As(err, &no) && no.code == 421 || errors.Is(err, io.ErrUnexpectedEOF))
}

// judge turns replies into results. A pending recipient keeps the moment since when it waits for the port.
func (s *sender) judge(c *holdstore.Claim, indexes []int, got round, results map[int]holdstore.Result) {
	l := s.loop
	var taken []string
	for _, i := range indexes {
		r := holdstore.Result{Outcome: holdstore.Sent, Detail: got.reply, At: time.Now()}
		why := got.refused[i]
		if why == nil {
			why = got.err
		}
		if why == nil {
			taken = append(taken, c.Recipients[i].Address)
			results[i] = r
			continue
		}
		r.Outcome, r.Detail = holdstore.Pending, why.Error()
		if before := c.Results[i]; before.Detail != "" && !before.At.IsZero() {
			r.At = before.At
		}
		if permanent(why) || !unreadable(why) && time.Since(r.At) > l.o.GiveUpAfter {
			r.Outcome, r.At = holdstore.Failed, time.Now()
			l.log.Failed(&c.Hold, c.Recipients[i].Address, r.Detail)
		}
		results[i] = r
	}
	if len(taken) > 0 && l.o.Sent != nil {
		l.o.Sent(c.Sender.Address, taken)
	}
	if len(taken) > 0 {
		l.log.Released(&c.Hold, len(taken), got.reply, time.Since(c.Due))
	}
}

// sendHold sends the message of a hold to some of its recipients.
func (s *sender) sendHold(ctx context.Context, c *holdstore.Claim, to []int) (sent, error) {
	e, err := s.loop.envelope(ctx, c)
	if err != nil {
		return sent{}, s.loop.alarm(c, err)
	}
	for _, i := range to {
		e.to = append(e.to, c.Recipients[i])
	}
	got, err := s.send(ctx, e)
	return got, s.loop.alarm(c, err)
}

// envelope is the message of a hold, but for its recipients.
func (l *Loop) envelope(ctx context.Context, c *holdstore.Claim) (envelope, error) {
	h := &c.Hold
	e := envelope{client: h, gateway: h.Gateway, from: h.Sender, own: h.Own(), ready: leased(c)}
	text, err := l.store.Header(ctx, h)
	if err != nil {
		return e, err
	}
	body, err := l.store.BodyDigest(ctx, h)
	if err != nil {
		return e, err
	}
	header := fields(string(text))
	e.trace = received(h, l.marker.Stamp(h.ID, mark.Content(body, header), h.Subject), l.o.Received) + l.lock(h, header)
	if h.Sender.HasArg("REQUIRETLS") {
		e.demand = demand(string(text))
	}
	if h.Client.Address == "" && !h.Own() {
		e.implied = impliedBy(h, string(text))
	}
	e.content = l.store.Content(ctx, h)
	return e, nil
}

// impliedBy lists the parameters of MAIL that a message of sendmail(1) implies, which Postfix detects for such messages
// alone: SMTPUTF8 by header and addresses (smtputf8_autodetect_classes), and BODY, which sendmail's option -B says.
func impliedBy(h *holdstore.Hold, header string) (all []string) {
	addresses := h.Sender.Address
	for _, r := range h.Recipients {
		addresses += r.Address
	}
	if !ascii(addresses) || !ascii(header) {
		all = append(all, international)
	}
	if h.EightBit {
		all = append(all, eightBit)
	}
	return all
}

// alarm says when it is the store that doesn't give the message: a piece or its key is missing, or it was changed.
func (l *Loop) alarm(c *holdstore.Claim, err error) error {
	if unreadable(err) {
		l.log.Trouble("hold "+c.ID+": its message can't be read from the store, so it can't be sent; it stays held: see "+
			hint.Recallctl(l.o.Config, "show "+c.ID), err)
	}
	return err
}

// unreadable says whether it is the store that doesn't give the message. That is for the administrator to fix, and not
// a reason to give up.
func unreadable(err error) bool {
	return errors.Is(err, holdstore.ErrNotFound) || errors.Is(err, holdstore.ErrNoKey) ||
		errors.Is(err, holdstore.ErrDamaged)
}

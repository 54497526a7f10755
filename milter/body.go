package milter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	gomilter "github.com/emersion/go-milter"
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// storeBudget is how long one message may wait for the store, its body and its end taken together: below every MTA's
// and client's time-out, since progress frames and RFC 5321 section 4.5.3.2.6 (10 minutes for the final dot) allow
// more.
const (
	storeBudget   = 100 * time.Second
	progressEvery = 2 * time.Second
)

// tooLarge is why a message beyond hold.max_size is not held.
var tooLarge = policy.Reason{Code: policy.TooLarge, Text: "larger than hold.max_size"}

// BodyChunk streams the body into the store. The MTA need not wait for an answer: what became of the message is said
// at its end.
func (s *session) BodyChunk(chunk []byte, _ *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	if s.msg.starved {
		return gomilter.RespContinue, nil
	}
	if s.msg.arrival != nil {
		s.keep(chunk)
		return gomilter.RespContinue, nil
	}
	if s.lookInto(chunk); s.msg.command != nil {
		s.collect(chunk)
	} else {
		s.gather(chunk)
	}
	return gomilter.RespContinue, nil
}

// gather gives the store one piece, or finds that the message can't be held.
func (s *session) gather(chunk []byte) {
	m := &s.msg
	switch {
	case m.put == nil || m.err != nil || len(chunk) == 0:
		return
	case m.put.Size()+int64(len(chunk)) > s.server.MaxSize:
		m.passes = tooLarge
		m.drop()
		return
	case m.pending < putPending:
		if m.pending += len(chunk); !s.hold(len(chunk)) {
			m.err = errBusy
			return
		}
	}
	// A piece may still be on its way when Write is back: only a Write that hangs may end the message's context.
	hangs, began := time.AfterFunc(storeBudget-m.waited, m.cancel), time.Now()
	defer hangs.Stop()
	m.err = m.put.Write(m.ctx, chunk)
	m.waited += time.Since(began)
}

// Body ends the message: the MTA hears DISCARD only when the store has it.
func (s *session) Body(mod *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	m := &s.msg
	if m.arrival != nil {
		if s.keep(s.raw); m.starved {
			return s.starve(mod), nil
		}
		return s.arrive(mod), nil
	}
	if s.lookInto(s.raw); s.ours() { // no address mapping, and no command in it, may make it wait again, or act again
		return s.pass(s.server.Policy().Decide(s.facts(policy.AtHeaders)).Reason), nil
	}
	if m.command != nil { // the last piece of the body may come in the end-of-body frame
		if s.collect(s.raw); m.starved {
			return s.starve(mod), nil
		}
		if r, done := s.obey(mod); done {
			return r, nil
		}
	} else {
		s.gather(s.raw)
	}
	if !m.passes.Given() {
		m.passes = s.tooLarge()
	}
	if !m.passes.Given() && m.put != nil && isAddressTest(m.sub, m.fields, m.put.Size()-int64(len(s.header()))-2) {
		m.passes = addressTest
		m.drop()
	}
	switch {
	case !m.judged:
		return s.storeFailed(mod, errors.New("the MTA never ended the headers")), nil
	case m.passes.Given():
		return s.travelOn(mod), nil
	}
	if s.reconsider(); m.passes.Given() {
		return s.travelOn(mod), nil
	}
	terms := holdstore.Terms{Rule: m.verdict.Rule, Grace: m.verdict.Remaining(time.Now()),
		Fixed: !m.verdict.Until.IsZero(), Replaces: m.replaces}
	receipt, err := s.commit(terms)
	if err != nil {
		return s.storeFailed(mod, err), nil
	}
	s.server.Log.Held(m.sub, receipt, terms, m.put.Size())
	s.tellHeld(receipt)
	m.put = nil // it is the store's from here on
	s.reset()
	s.last = receipt
	return gomilter.RespDiscard, nil
}

// tooLarge is why a message passes unheld for its size, now that all of it is known.
func (s *session) tooLarge() (why policy.Reason) {
	m := &s.msg
	switch {
	case m.put == nil:
		return policy.Reason{}
	case m.put.Size() > s.server.MaxSize: // by its header alone
		return tooLarge
	case m.err == nil && s.server.TooLarge != nil:
		m.err = s.meanwhile(func() {
			if text := s.server.TooLarge(m.sub, m.put.Size()); text != "" {
				why = policy.Reason{Code: policy.TooLarge, Text: text}
			}
		})
	}
	return why
}

// reconsider asks the policy again when its verdict depends on what only the end tells: the size, or the files.
func (s *session) reconsider() {
	m := &s.msg
	if m.verdict.Certain || m.put == nil {
		return
	}
	facts := s.facts(policy.AtEnd)
	facts.Size = m.put.Size()
	if m.files != nil {
		m.files.End()
		files, whole := m.files.Files()
		facts.Files, facts.MoreFiles = files, !whole
	}
	if m.verdict = s.decide(facts); !m.verdict.Hold {
		m.passes = m.verdict.Reason
		m.drop()
	}
}

// commit waits for the store.
func (s *session) commit(terms holdstore.Terms) (holdstore.Committed, error) {
	m := &s.msg
	if m.err != nil {
		return holdstore.Committed{}, m.err
	}
	ctx, cancel := context.WithTimeout(s.ctx, storeBudget-m.waited)
	defer cancel()
	defer context.AfterFunc(ctx, m.cancel)() // pieces that are still on their way end with it
	var receipt holdstore.Committed
	var err error
	put := m.put
	if wrong := s.meanwhile(func() { receipt, err = put.Commit(ctx, terms) }); wrong != nil {
		return holdstore.Committed{}, fmt.Errorf("%w: %w", holdstore.ErrMaybeHeld, wrong)
	}
	return receipt, err
}

// meanwhile runs work, and keeps the MTA waiting with progress frames until it ends. The error is a panic of work.
func (s *session) meanwhile(work func()) (err error) {
	var mu sync.Mutex // a progress frame after work would be taken for a part of the next answer
	var tick *time.Timer
	ended := false
	mu.Lock()
	tick = time.AfterFunc(progressEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			s.conn.Progress() // the outcome must be known also when the MTA is gone
			tick.Reset(progressEvery)
		}
	})
	mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			s.server.Log.Panicked("work on one message", v, debug.Stack())
			err = defect(v)
		}
		mu.Lock()
		defer mu.Unlock()
		ended = true
		tick.Stop()
	}()
	work()
	return nil
}

// Package milter answers the MTA: one session gathers a message, asks the policy, and puts it into the store or
// lets it pass.
//
// When anything fails, the message is either certainly in the store before the MTA hears DISCARD, or it stays the
// MTA's: tempfailed or delivered unheld, as on_store_failure says, and logged. Where nobody knows whether the store has
// it, it is tempfailed in any case: delivered, it could arrive twice, and a recall would miss one of them.
package milter

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/milter/internal/wire"
	"github.com/recall-milter/recall-milter/policy"
)

// Policy gives verdicts on messages.
type Policy interface {
	Decide(policy.Facts) policy.Verdict
}

// Store takes messages.
type Store interface {
	Put(sub holdstore.Submission, header []byte) Put
	Confirm(r holdstore.Committed)
}

// Put is one message on its way into the store; holdstore.Put says what each method promises.
type Put interface {
	Write(ctx context.Context, b []byte) error
	Size() int64
	Commit(ctx context.Context, t holdstore.Terms) (holdstore.Committed, error)
	Abandon()
}

// HoldStore is the store of a real *holdstore.Store.
func HoldStore(s *holdstore.Store) Store { return holdStore{s} }

type holdStore struct{ *holdstore.Store }

func (s holdStore) Put(sub holdstore.Submission, header []byte) Put { return s.Store.Put(sub, header) }

// Log is told what becomes of each message.
type Log interface {
	Held(sub holdstore.Submission, r holdstore.Committed, t holdstore.Terms, size int64)
	Passed(sub holdstore.Submission, reason policy.Reason)
	Skipped(sub holdstore.Submission, reason policy.Reason) // at MAIL: none of our business
	Unheld(sub holdstore.Submission, err error)
	Deferred(sub holdstore.Submission, err error)
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
	Panicked(what string, v any, stack []byte) // a defect: it ended what, and nothing else
}

// Server answers MTAs. All fields must be set before Serve.
type Server struct {
	Policy         func() Policy
	Store          Store
	Mark           *mark.Marker
	Log            Log
	Commands       Commands // nil: none are known
	Inbound        Inbound  // nil: mail that comes in is not looked at
	OnStoreFailure string   // tempfail | deliver
	MaxSize        int64    // bytes; larger mail passes unheld

	// TooLarge says why the MTA might not take back a message of size bytes, which then passes unheld; "": it will. It
	// may take seconds. nil: the MTA takes back any size.
	TooLarge func(sub holdstore.Submission, size int64) string

	// Left says when a message left its hold, and by whose login it came, as holdstore.Store.LeftAt does; nil: all have
	// just left.
	Left func(ctx context.Context, id string) (at time.Time, login string, err error)

	// Unheld is told of outbound mail that goes on without a hold, and never waits; nil: nobody wants to know.
	Unheld func(sub holdstore.Submission)

	// Ask asks the socketmaps that a verdict depends on, within seconds; what has no answer is the zero value. nil: none
	// is asked.
	Ask func(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer

	// OwnGrace returns what the sender of a message has chosen, without waiting for the store; nil: nobody may choose.
	OwnGrace func(ctx context.Context, login, sender string) *time.Duration

	rooms rooms

	Session func() (end func()) // is told of each session and, by what it returns, of its end; nil: nobody wants to know
}

// acceptPause is waited when the system can't give a descriptor: the port stays open.
const acceptPause = 100 * time.Millisecond

const (
	tooFull   = "a milter session must wait: raise LimitNOFILE of the service"
	roomAgain = "milter sessions no longer wait"
)

// Serve answers sessions until ctx ends, then closes the port and idle sessions, lets messages finish, and waits for
// the end of all.
func (srv *Server) Serve(ctx context.Context, l net.Listener) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var full outage.Outage
	for {
		c, err := l.Accept()
		now := time.Now() // waiting for a connection is as it should be
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case scarce(err):
			full.Note(srv.Log, now, err, tooFull, roomAgain)
			pause(ctx, acceptPause)
			continue
		case err != nil:
			return err
		}
		full.Note(srv.Log, now, nil, tooFull, roomAgain)
		sessions.Go(func() { srv.session(ctx, c) })
	}
}

// scarce says whether accepting failed for a reason that passes: one client gone, or no descriptors or memory left.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// session runs one go-milter server for one connection, and ends with it.
func (srv *Server) session(parent context.Context, nc net.Conn) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	defer cancel()
	s := &session{server: srv, ctx: ctx, macros: map[string]string{}}
	defer nc.Close()
	defer s.guardEnd()
	if srv.Session != nil {
		defer srv.Session()()
	}
	s.conn = wire.New(nc, s)
	s.conn.Serve(parent, cancel)
	s.reset()
}

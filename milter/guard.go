package milter

import (
	"fmt"
	"runtime/debug"

	gomilter "github.com/emersion/go-milter"
)

// guard is deferred by every callback: a panic costs one message a retry, never the process, and never the message.
// What was staged is left to expire, since what panicked may be the store.
func (s *session) guard(r *gomilter.Response) {
	v := recover()
	if v == nil {
		return
	}
	sub := s.msg.sub
	s.msg.put = nil
	s.reset()
	s.server.Log.Panicked("the milter's work on one message", v, debug.Stack())
	s.server.Log.Deferred(sub, defect(v))
	*r = replyWith("451 4.3.0 the message could not be looked at, try again later")
}

// Panicked ends a session whose frame was being handled: the MTA does with its message what it does when a milter is
// away.
func (s *session) Panicked(v any, stack []byte) {
	s.msg.put = nil
	s.server.Log.Panicked("a milter session", v, stack)
}

// guardEnd is deferred by what runs a session: what is left of it is dropped.
func (s *session) guardEnd() {
	if v := recover(); v != nil {
		s.server.Log.Panicked("the end of a milter session", v, debug.Stack())
	}
}

// defect is why a message is deferred after a panic; the log has the stack in a line of its own.
func defect(v any) error { return fmt.Errorf("a defect of the milter, please report it: %v", v) }

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
	s.server.Log.Deferred(sub, fmt.Errorf("a defect of the milter, please report it: %v\n%s", v, debug.Stack()))
	*r = tempfail("451 4.3.0 the message could not be looked at, try again later")
}

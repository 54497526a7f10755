package nodes

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Of what Redis would not begin nothing was done; whatever else EXEC answers may have been done in part.
func TestWhatExecAnswers(t *testing.T) {
	queued, oom := redis.NewCmd(t.Context()), redis.NewCmd(t.Context())
	oom.SetErr(refusal("OOM command not allowed when used memory > 'maxmemory'."))
	for _, c := range []struct {
		cmds    []redis.Cmder
		exec    string
		refused bool
		is      error
	}{
		{[]redis.Cmder{queued, oom}, "EXECABORT Transaction discarded because of previous errors.", true, ErrFull},
		{[]redis.Cmder{queued}, "EXECABORT Transaction discarded because of: OOM command not allowed", true, ErrFull},
		{[]redis.Cmder{queued}, "EXECABORT Transaction discarded because of: MISCONF no disk", true, ErrNotDurable},
		{[]redis.Cmder{queued}, "NOPERM this user has no permissions to run the 'hset' command", false, ErrHalfDone},
		{[]redis.Cmder{queued}, "OOM of one of the replies", false, ErrHalfDone},
		{[]redis.Cmder{queued}, "ERR EXEC without MULTI", false, ErrHalfDone},
	} {
		exec := redis.NewCmd(t.Context())
		exec.SetErr(refusal(c.exec))
		executed(c.cmds, exec)
		if err := exec.Err(); Refused(err) != c.refused || !errors.Is(Explain(err), c.is) {
			t.Errorf("%s: %v, refused %v", c.exec, err, Refused(err))
		}
	}
}

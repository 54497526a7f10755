package holdstore

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
		{[]redis.Cmder{queued}, "NOPERM this user has no permissions to run the 'hset' command", false, errHalfDone},
		{[]redis.Cmder{queued}, "OOM of one of the replies", false, errHalfDone},
		{[]redis.Cmder{queued}, "ERR EXEC without MULTI", false, errHalfDone},
	} {
		exec := redis.NewCmd(t.Context())
		exec.SetErr(refusal(c.exec))
		executed(c.cmds, exec)
		if err := exec.Err(); refused(err) != c.refused || !errors.Is(explain(err), c.is) {
			t.Errorf("%s: %v, refused %v", c.exec, err, refused(err))
		}
	}
}

// A batch that overtakes confirmations takes them along.
func TestConfirmationsThatAreOvertaken(t *testing.T) {
	c := confirmations{of: map[keys][]confirmation{}, away: map[keys][]confirmation{}, bell: make(chan struct{}, 1)}
	one, two := confirmation{"1", "p1"}, confirmation{"2", "p2"}
	c.add("at", []confirmation{one})
	_, first := c.take("at", 9)
	c.add("at", []confirmation{two})
	all, second := c.take("at", 9)
	if len(first) != 1 || len(second) != 1 || second[0] != two || len(all) != 2 || all[0] != one {
		t.Fatalf("%v, then %v of %v", first, second, all)
	}
	c.back("at", first, errors.New("no reply"))
	c.back("at", second, nil)
	if all, fresh := c.take("at", 9); len(all) != 1 || len(fresh) != 1 || fresh[0] != one {
		t.Errorf("after a failure %v wait, %v are fresh", all, fresh)
	}
}

package retraction

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

// Many wait for their turn in one mailbox. When its server is away then, that is the first failure of each of them, and
// not one after which minutes pass.
func TestWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	store, post := site(t)
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
		Options{Keep: time.Hour})
	for id, waits := range map[string]error{"turn": errNotItsTurn, "look": later(time.Millisecond)} {
		must(t, func() error { return store.AddJob(t.Context(), id, jobRetract, Order{}, 0) })
		for round, ended := range []error{waits, nil} {
			var j *holdstore.Job
			server.Eventually(t, id+" is claimed", func() bool {
				must(t, func() (err error) { j, err = store.ClaimJob(t.Context()); return err })
				return j != nil
			})
			if j.ID != id || j.Attempts != 1 || backOff(j) != firstTry {
				t.Errorf("round %d of %s: %s, attempt %d", round, id, j.ID, j.Attempts)
			}
			must(t, func() error { return x.end(t.Context(), j, ended) })
		}
	}
}

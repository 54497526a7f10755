package holdstore

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// A fence gives what was replaced back to those who would have got it before, whatever somebody has written into the
// store since the commit.
func TestAFenceUndoesNoRecallThatWasMadeBefore(t *testing.T) {
	for name, c := range map[string]struct {
		before func(w intruder, id string)
		want   string
	}{
		"nothing":         {func(intruder, string) {}, "b@x.test c@x.test"},
		"recalled for b":  {func(w intruder, id string) { w.recallOnly(id, "b@x.test") }, ""}, // it shows, and so it waits
		"recalled":        {func(w intruder, id string) { w.recall(id) }, ""},
		"nothing proves":  {func(w intruder, id string) { w.strip(id) }, ""},
		"of another name": {func(w intruder, id string) { w.replace(id, "p", "b@x.test", "m@y.test") }, ""},
	} {
		s, w, old := sealedHold(t)
		c.before(w, old)
		p := s.Put(submission("new"), []byte(header("new")))
		fresh, err := p.Commit(t.Context(), Terms{Grace: time.Hour, Replaces: []string{old}})
		if err != nil {
			t.Fatal(err)
		}
		w.del(old, "r0", "r1")
		w.set(old, "state", "recalled", "by", fmt.Sprint(fresh.ID, " 1 0 1"))
		w.set(fresh.ID, "replaced", old)
		if _, err := p.fence(errors.New("timeout")); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: the fence says %v", name, err)
		}
		w.due(old)
		if got := wouldGet(t, s); got != c.want {
			t.Errorf("%s: sent to %q, want %q", name, got, c.want)
		}
	}
}

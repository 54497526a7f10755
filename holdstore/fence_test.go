package holdstore

import (
	"errors"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Whoever gives up on a commit removes nothing that is somebody else's, or that somebody was told of meanwhile.
func TestAFenceTakesNothingOfOthers(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx, only := t.Context(), []string{"bob@far.test"}
	recall := func(id string) { s.Recall(ctx, id, alice) }
	for _, c := range []struct {
		name      string
		meanwhile func(old, fresh string) // to the hold that was replaced, and to the new one
		fresh     bool                    // stays
		old       State
	}{
		{"nothing", func(old, fresh string) {}, false, Held},
		{"the new one is extended", func(old, fresh string) { s.Extend(ctx, fresh, time.Hour, alice) }, true, Recalled},
		{"the new one is recalled for one", func(old, fresh string) { s.RecallOnly(ctx, fresh, only, alice) }, true,
			Recalled},
		{"the new one is recalled", func(old, fresh string) { recall(fresh) }, true, Recalled},
		{"somebody hears that the old one is recalled", func(old, fresh string) { recall(old) }, false, Recalled},
		{"somebody hears that for one of it", func(old, fresh string) { s.RecallOnly(ctx, old, only, alice) }, false,
			Recalled},
		{"the old one is restored and recalled", func(old, fresh string) { s.Restore(ctx, old, alice); recall(old) }, false,
			Recalled},
		{"the old one is restored and replaced by another", func(old, fresh string) {
			s.Restore(ctx, old, alice)
			s.Put(submission("third"), []byte(header("third"))).Commit(ctx, Terms{Grace: time.Hour, Replaces: []string{old}})
		}, false, Recalled},
	} {
		old := put(t, s, "old "+c.name, 3*time.Hour, "")
		if _, err := s.RecallOnly(ctx, old.ID, only, alice); err != nil {
			t.Fatal(err)
		}
		p := s.Put(submission("new "+c.name), []byte(header(c.name)))
		fresh, err := p.Commit(ctx, Terms{Grace: time.Hour, Replaces: []string{old.ID}})
		if err != nil {
			t.Fatal(err)
		}
		c.meanwhile(old.ID, fresh.ID)
		if _, err := p.fence(errors.New("timeout")); (err == nil) != c.fresh {
			t.Errorf("%s: the fence says %v", c.name, err)
		}
		if _, err := s.Get(ctx, fresh.ID); errors.Is(err, ErrNotFound) == c.fresh {
			t.Errorf("%s: the new hold: %v", c.name, err)
		}
		h, err := s.Get(ctx, old.ID)
		if err != nil || h.State != c.old || h.Results[0].Outcome != TakenBack ||
			(h.Results[1].Outcome == Pending) != (c.old == Held) {
			t.Errorf("%s: the old hold is %v %+v, %v", c.name, h.State, h.Results, err)
		}
		if h.State == Held && !h.Due.Equal(old.Due) {
			t.Errorf("%s: the old hold is due %v, and was %v", c.name, h.Due, old.Due)
		}
	}

	other := put(t, s, "other", time.Hour, "")
	p := s.Put(submission("mine"), nil)
	p.id = other.ID
	if _, err := p.fence(errors.New("timeout")); !errors.Is(err, ErrUnknown) {
		t.Errorf("the fence of an ID that another has: %v", err)
	}
	if _, err := s.Get(ctx, other.ID); err != nil {
		t.Errorf("the hold of the same ID: %v", err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("%+v", f)
	}
}

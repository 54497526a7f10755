package web

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// halfway is a store that finds nothing, and says why.
type halfway struct {
	Store
	err   error
	asked *int // how often for somebody's newest
}

func (h halfway) RecordBytes(context.Context, []string, holdstore.Whose, int) (int64, error) {
	return 0, nil
}
func (h halfway) Resolve(context.Context, string) ([]*holdstore.Hold, error) { return nil, h.err }

func (h halfway) Latest(context.Context, holdstore.Whose, int, func(*holdstore.Hold) bool) ([]*holdstore.Hold, error) {
	*h.asked++
	return nil, h.err
}

func (h halfway) Find(context.Context, holdstore.Query) iter.Seq2[*holdstore.Hold, error] {
	return func(yield func(*holdstore.Hold, error) bool) {
		if h.err != nil {
			yield(nil, h.err)
		}
	}
}

// With a part of the store away a list has the rest, and says that there may be more; with all of it away there is no
// list.
func TestAListSaysWhatItCouldNotSee(t *testing.T) {
	t.Parallel()
	anna := &caller{Person: recall.Person{Login: "anna", Addresses: []string{"a@corp.test"}}}
	boss := &caller{Person: recall.Person{Login: "boss", Operator: true}}
	for what, c := range map[string]struct {
		by *caller
		search
	}{"one's own": {by: anna}, "everybody's": {by: boss}, "a queue ID": {anna, search{queueID: "4XyZ0000017z1B"}}} {
		for away, want := range map[error]string{nil: "",
			holdstore.ErrPartial: "a part of the store is away: there may be more",
			holdstore.ErrMany:    "only the newest were searched"} {
			asked := 0
			s := &Server{store: halfway{err: away, asked: &asked}, room: newRoom()}
			c.limit = 10
			p, err := s.list(t.Context(), c.by, c.search)
			if err != nil || p.missing != want || len(p.holds) > 0 {
				t.Errorf("%s, %v: %+v, %v", what, away, p, err)
			}
			if what == "one's own" && asked != 2 {
				t.Errorf("%v: of the login and the address, %d were asked for", away, asked)
			}
		}
		s := &Server{store: halfway{err: holdstore.ErrUnavailable, asked: new(int)}, room: newRoom()}
		if p, err := s.list(t.Context(), c.by, c.search); !errors.Is(err, holdstore.ErrUnavailable) {
			t.Errorf("%s, with the store away: %+v, %v", what, p, err)
		}
	}
}

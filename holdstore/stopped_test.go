package holdstore

import (
	"errors"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Only an operator undoes what an operator has recalled, however it came to it.
func TestOnlyAnOperatorUndoesTheRecallOfAnOperator(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, server.StartRedis(t).Addr), t.Context()
	operator, sender := Actor{By: "boss", Operator: true}, Actor{By: "login anna"}
	only := func(a Actor) func(id string) error {
		return func(id string) error { _, err := s.RecallOnly(ctx, id, []string{"bob@far.test"}, a); return err }
	}
	all := func(a Actor) func(id string) error {
		return func(id string) error { _, err := s.Recall(ctx, id, a); return err }
	}
	noise := func(id string) error { // the timeline forgets its oldest lines
		for range 60 {
			long := Actor{By: "login anna", Reason: string(make([]byte, 990))}
			if _, err := s.Extend(ctx, id, time.Second, long); err != nil {
				return err
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		steps   []func(id string) error
		stopped bool
	}{
		"the sender":                   {[]func(string) error{all(sender)}, false},
		"an operator":                  {[]func(string) error{all(operator)}, true},
		"the sender, then an operator": {[]func(string) error{all(sender), all(operator)}, true},
		"both for the same recipient":  {[]func(string) error{only(sender), only(operator), all(sender)}, true},
		"an operator for one":          {[]func(string) error{only(operator), all(sender)}, true},
		"an operator long ago":         {[]func(string) error{only(operator), noise, all(sender)}, true},
		"an operator, for one, last":   {[]func(string) error{all(sender), only(operator)}, true},
	} {
		id := put(t, s, name, time.Hour, "x").ID
		for _, step := range c.steps {
			if err := step(id); err != nil && !errors.Is(err, ErrNotNow) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		_, err := s.Restore(ctx, id, sender)
		if c.stopped != errors.Is(err, ErrStopped) {
			t.Errorf("%s: the sender's restore: %v", name, err)
		}
		if !c.stopped {
			continue
		}
		if h, err := s.Restore(ctx, id, operator); err != nil || h.Stopped || h.State != Held {
			t.Errorf("%s: the operator's restore: %v", name, err)
			continue
		}
		if err := all(sender)(id); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Restore(ctx, id, sender); err != nil {
			t.Errorf("%s: after an operator has restored it: %v", name, err)
		}
	}
}

package milter

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// rules lists the rules of what the store holds.
func (r *rig) rules() (names []string) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, h := range r.store.holds {
		names = append(names, h.terms.Rule)
	}
	return names
}

// When the memory has answered, the message is decided again: a rule that was found not to hold is not asked again, so
// the field that it is about is decoded once for all.
func TestWhatIsDecidedBeforeAnAnswerIsKeptForTheNextDecision(t *testing.T) {
	bubble(t, func(r *rig) {
		words, err := policy.ParsePatterns([]string{"*offer*"})
		if err != nil {
			t.Fatal(err)
		}
		decoded, decided := 0, 0
		p := policy.NewOutbound(policy.Options{DaemonNames: []string{"ORIGINATING"}, Grace: time.Minute,
			Decode: func(v string) string { decoded++; return v },
			Rules: []policy.Rule{{Name: "offers", Conditions: []policy.Condition{policy.IfHeader("Subject", words)}},
				{Name: "new", Conditions: []policy.Condition{policy.IfFirstContact(true)}, Grace: time.Hour}}})
		r.Policy = func() Policy { return counted{p, &decided} }
		r.Ask = func(_ context.Context, some []policy.Question) map[policy.Question]policy.Answer {
			return map[policy.Question]policy.Answer{some[0]: {Known: true, Found: true}}
		}
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		decided = 0 // what is decided at MAIL has no header
		m.header('c', "Subject: x")
		m.ask('E', "", 'd')
		if decoded != 1 || decided != 2 || !slices.Equal(r.rules(), []string{"default"}) {
			t.Errorf("decided %d times, decoded %d times; held by %v", decided, decoded, r.rules())
		}
	})
}

// counted is a policy that counts its decisions.
type counted struct {
	*policy.Outbound
	decided *int
}

func (c counted) Decide(f policy.Facts) policy.Verdict { *c.decided++; return c.Outbound.Decide(f) }

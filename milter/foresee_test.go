package milter

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

type (
	questions = []policy.Question
	answers   = map[policy.Question]policy.Answer
)

// withMemory runs a test with a policy for first contacts, and a memory that ask answers for.
func withMemory(t *testing.T, ask func(context.Context, questions) answers, test func(r *rig)) {
	t.Helper()
	bubble(t, func(r *rig) {
		p := policy.NewOutbound(policy.Options{DaemonNames: []string{"ORIGINATING"}, Grace: time.Minute,
			Rules: []policy.Rule{{Name: "new", Conditions: []policy.Condition{policy.IfFirstContact(true)}, Grace: time.Hour}}})
		r.Policy = func() Policy { return p }
		r.Ask = ask
		test(r)
	})
}

// all answers questions: each contact is known, or none is.
func all(some questions, known bool) answers {
	a := answers{}
	for _, q := range some {
		a[q] = policy.Answer{Known: true, Found: known}
	}
	return a
}

// rules lists the rules of what the store holds.
func (r *rig) rules() (names []string) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, h := range r.store.holds {
		names = append(names, h.terms.Rule)
	}
	return names
}

func TestTheMemoryAnswersWhileTheClientSends(t *testing.T) {
	var asked []questions
	ask := func(_ context.Context, some questions) answers {
		asked = append(asked, some)
		return all(some, true)
	}
	withMemory(t, ask, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test", "c@x.test")
		synctest.Wait()
		early := len(slices.Concat(asked...))
		m.header('c', "Subject: x")
		m.ask('E', "", 'd')
		if now := len(slices.Concat(asked...)); early != 2 || now != 2 || !slices.Equal(r.rules(), []string{"default"}) {
			t.Errorf("%d questions early, %d in all: %v; held by %v", early, now, asked, r.rules())
		}
	})
}

// What was not answered early is asked again at the end of the header. What is not answered then lets nothing out
// sooner.
func TestAnEarlyQuestionWithoutAnAnswerIsAskedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(n int, some questions) answers
		rule string
		want int // times that it is asked
	}{
		{"answered at last", func(n int, some questions) answers {
			if n == 1 {
				return nil
			}
			return all(some, true)
		}, "default", 2},
		{"never answered", func(int, questions) answers { return nil }, "new", 3}, // also at the end of the message
		{"a defect", func(n int, some questions) answers {
			if n == 1 {
				panic("a defect")
			}
			return all(some, true)
		}, "default", 2},
		{"a late answer", func(n int, some questions) answers {
			time.Sleep(time.Second)
			return all(some, false)
		}, "new", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := 0
			withMemory(t, func(_ context.Context, some questions) answers { n++; return c.ask(n, some) }, func(r *rig) {
				m := r.mta()
				m.begin("a@corp.test", "b@x.test")
				m.header('c', "Subject: x")
				m.ask('E', "", 'd')
				if !slices.Equal(r.rules(), []string{c.rule}) || n != c.want {
					t.Errorf("held by %v, asked %d times", r.rules(), n)
				}
			})
		})
	}
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
		r.Ask = func(_ context.Context, some questions) answers { return all(some, true) }
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

// A client can name recipients and go on with another message as often as it likes: one question is on its way at most,
// and the session waits for it when it ends.
func TestAMemoryThatHangsHasOneEarlyQuestionOfASession(t *testing.T) {
	asked, ended := 0, false
	ask := func(ctx context.Context, _ questions) answers {
		asked++
		<-ctx.Done()
		time.Sleep(time.Second)
		ended = true
		return nil
	}
	withMemory(t, ask, func(r *rig) {
		m := r.mta()
		for range 10 {
			m.begin("a@corp.test", "b@x.test")
			m.abort()
		}
		synctest.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		m.hangUp()
		r.stop()
		if !ended {
			t.Error("the session has ended before its question")
		}
	})
}

func TestMailToVeryManyAsksForTheFirstOnlyEarly(t *testing.T) {
	early := 0
	withMemory(t, func(_ context.Context, some questions) answers { early += len(some); return all(some, true) },
		func(r *rig) {
			m := r.mta()
			m.begin("a@corp.test", slices.Repeat([]string{"b@x.test"}, 2*mostForeseen)...)
			synctest.Wait()
			if early != mostForeseen {
				t.Errorf("asked early for %d recipients", early)
			}
		})
}

package correspondents

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

const year = 365 * 24 * time.Hour

// shelf is a store in memory.
type shelf struct {
	mu     sync.Mutex
	pairs  map[holdstore.Pair]bool // without their days
	since  int
	away   bool
	writes int
}

var errAway = errors.New("away")

func (s *shelf) Acquaint(_ context.Context, pairs []holdstore.Pair, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.writes++
	for _, p := range pairs {
		if s.since == 0 || p.Day < s.since {
			s.since = p.Day
		}
		p.Day = 0
		s.pairs[p] = true
	}
	return nil
}

func (s *shelf) Acquainted(_ context.Context, pairs []holdstore.Pair, _ time.Duration) (known []bool, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		known = append(known, s.pairs[p])
	}
	return known, map[bool]error{true: errAway}[s.away]
}

func (s *shelf) AcquaintedSince(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, map[bool]error{true: errAway}[s.away]
}

func (s *shelf) ForgetOldPairs(context.Context, time.Duration) (int, error) { return 0, nil }

func (s *shelf) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func written(from, to string) policy.Question {
	return policy.Question{Map: policy.WrittenTo, Key: to, Sender: from}
}

func domain(name string) policy.Question { return policy.Question{Map: policy.DomainKnown, Key: name} }

// undated is a store that does not say since when it remembers.
type undated struct{ *shelf }

func (undated) AcquaintedSince(context.Context) (int, error) { return 0, errAway }

// Nobody is called a stranger as long as it is not known whether the memory still learns.
func TestAMemoryOfUnknownAgeAnswersNothing(t *testing.T) {
	t.Parallel()
	b := New(undated{&shelf{pairs: map[holdstore.Pair]bool{}}}, year, nil)
	b.Use([]byte("secret"))
	if got := b.Ask(t.Context(), []policy.Question{written("a@corp.test", "b@far.test")}); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// journal is a log that is read.
type journal []string

func (j *journal) Trouble(what string, _ error)           { *j = append(*j, what) }
func (j *journal) Recovered(what string, _ time.Duration) { *j = append(*j, what) }

// The memory learns from what leaves and from what comes, asks nobody's case, and takes no stranger's domain for known.
func TestTheBookLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{pairs: map[holdstore.Pair]bool{}, since: holdstore.Day(time.Now()) - 30}
		var said journal
		b := New(s, year, &said)
		b.NoteSent("early@corp.test", []string{"b@far.test"}) // before there is a secret
		if a := b.Ask(t.Context(), []policy.Question{domain("far.test")}); len(a) > 0 {
			t.Errorf("without a secret: %+v", a)
		}
		b.Use([]byte("secret"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() { b.Run(ctx); close(done) }()
		b.NoteSent("Anna@corp.test", []string{"b@Far.test", "c@near.test"})
		b.NoteCame("x@stranger.test", []string{"anna@corp.test"})
		b.NoteSent("", []string{"bounce@far.test"})
		time.Sleep(2 * gatherTime) // fake time
		answers := b.Ask(ctx, []policy.Question{written("anna@corp.test", "b@far.test"),
			written("anna@corp.test", "x@stranger.test"), written("bert@corp.test", "b@far.test"), domain("far.test"),
			domain("stranger.test"), written("early@corp.test", "b@far.test"), written("", "bounce@far.test")})
		for q, want := range map[policy.Question]bool{written("anna@corp.test", "b@far.test"): true,
			written("anna@corp.test", "x@stranger.test"): true, written("bert@corp.test", "b@far.test"): false,
			domain("far.test"): true, domain("stranger.test"): false, written("early@corp.test", "b@far.test"): false,
			written("", "bounce@far.test"): false} {
			if a := answers[q]; !a.Known || a.Found != want {
				t.Errorf("%+v: %+v", q, a)
			}
		}
		if s.writes != 1 {
			t.Errorf("%d writes", s.writes)
		}
		s.setAway(true)
		if a := b.Ask(ctx, []policy.Question{domain("other.test")})[domain("other.test")]; a.Known {
			t.Errorf("the store is away: %+v", a)
		}
		b.NoteSent("anna@corp.test", []string{"lost@far.test"})
		time.Sleep(2 * gatherTime)
		s.setAway(false)
		b.NoteSent("anna@corp.test", []string{"last@far.test"})
		cancel()
		<-done
		if q := written("anna@corp.test", "last@far.test"); !b.Ask(t.Context(), []policy.Question{q})[q].Found ||
			len(said) != 2 || said[1] != "correspondents are remembered again" {
			t.Errorf("what waits at the end is not written; said: %q", said)
		}
	})
}

// A new store learns first: nobody is new, and it says until when. A domain is never taken for known by that.
func TestANewStoreLearnsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{pairs: map[holdstore.Pair]bool{}}
		b := New(s, year, nil)
		b.Use([]byte("secret"))
		q := written("anna@corp.test", "b@far.test")
		ask := func() policy.Answer { return b.Ask(t.Context(), []policy.Question{q})[q] }
		if a := ask(); !a.Found || a.Text != "nothing is learned yet" {
			t.Errorf("an empty store: %+v", a)
		}
		s.since = holdstore.Day(time.Now())
		time.Sleep(2 * sinceFresh)
		if a := ask(); !a.Found || a.Text != "learning until 2000-01-15" { // the fake clock begins in 2000
			t.Errorf("on the first day: %+v", a)
		}
		if a := b.Ask(t.Context(), []policy.Question{domain("far.test")})[domain("far.test")]; a.Found {
			t.Errorf("a domain on the first day: %+v", a)
		}
		time.Sleep(Learning)
		if a := ask(); !a.Known || a.Found {
			t.Errorf("after two weeks: %+v", a)
		}
	})
}

// Whoever reads the store can't find out whom a name means: each secret has other names.
func TestANameMeansSomebodyOnlyWithTheSecret(t *testing.T) {
	t.Parallel()
	ours, others := Key([]byte("secret")), Key([]byte("another"))
	if Name(ours, "Anna@corp.test") != Name(ours, "anna@CORP.test") {
		t.Error("a person has two names")
	}
	if Name(ours, "anna@corp.test") == Name(others, "anna@corp.test") {
		t.Error("the name does not depend on the secret")
	}
}

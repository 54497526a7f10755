package correspondents

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// IsAbout says whether a question is for the memory, and not for a socketmap.
func IsAbout(q policy.Question) bool { return q.Map == policy.WrittenTo || q.Map == policy.DomainKnown }

// Ask answers questions about correspondents. What can't be looked up has no answer.
func (b *Book) Ask(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer {
	answers := map[policy.Question]policy.Answer{}
	key := b.key.Load()
	if key == nil {
		return answers
	}
	var open []lookup
	for _, q := range questions {
		if l := (lookup{q, pairsOf(*key, q)}); b.found.any(l.pairs) {
			answers[q] = policy.Answer{Known: true, Found: true}
		} else {
			open = append(open, l)
		}
	}
	if len(open) > 0 {
		b.lookUp(ctx, open, answers)
	}
	return answers
}

// lookup is a question with the pairs of which any one answers it with yes.
type lookup struct {
	policy.Question
	pairs []holdstore.Pair
}

func pairsOf(key []byte, q policy.Question) []holdstore.Pair {
	if q.Map == policy.DomainKnown {
		return []holdstore.Pair{{Person: Name(key, ""), Contact: Name(key, "@"+q.Key)}}
	}
	sent := holdstore.Pair{Person: Name(key, q.Sender), Contact: Name(key, q.Key)}
	came := sent
	came.Came = true
	return []holdstore.Pair{sent, came}
}

// lookUp asks the store, and adds the answers.
func (b *Book) lookUp(ctx context.Context, open []lookup, answers map[policy.Question]policy.Answer) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	learning, err := b.learning(ctx)
	if err != nil {
		return
	}
	var pairs []holdstore.Pair
	for _, l := range open {
		pairs = append(pairs, l.pairs...)
	}
	known, err := b.store.Acquainted(ctx, pairs, time.Duration(b.keep.Load()))
	if err != nil {
		return
	}
	for _, l := range open {
		a := policy.Answer{Known: true}
		for _, p := range l.pairs {
			if known[0] {
				a.Found = true
				b.found.add(p)
			}
			known = known[1:]
		}
		if l.Map == policy.WrittenTo && learning != "" && !a.Found {
			a.Found, a.Text = true, learning
		}
		answers[l.Question] = a
	}
}

// learning says until when the memory learns; "": it has learned for long enough.
func (b *Book) learning(ctx context.Context) (until string, err error) {
	k := b.since.Load()
	if k == nil || time.Since(k.at) > sinceFresh {
		day, err := b.store.AcquaintedSince(ctx)
		if err != nil {
			return "", err
		}
		k = &known{day, time.Now()}
		b.since.Store(k)
	}
	if k.day == 0 {
		return "nothing is learned yet", nil
	}
	end := time.Unix(int64(k.day)*86400, 0).UTC().Add(Learning)
	if time.Now().Before(end) {
		return "learning until " + end.Format(time.DateOnly), nil
	}
	return "", nil
}

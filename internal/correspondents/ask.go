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
	if len(questions) == 0 {
		return answers
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	learning, err := b.learning(ctx)
	key := b.key.Load()
	if err != nil || key == nil {
		return answers
	}
	var pairs []holdstore.Pair
	for _, q := range questions {
		if q.Map == policy.DomainKnown {
			pairs = append(pairs, holdstore.Pair{Person: Name(*key, ""), Contact: Name(*key, "@"+q.Key)})
			continue
		}
		person, contact := Name(*key, q.Sender), Name(*key, q.Key)
		pairs = append(pairs, holdstore.Pair{Person: person, Contact: contact},
			holdstore.Pair{Person: person, Contact: contact, Came: true})
	}
	found, err := b.store.Acquainted(ctx, pairs, time.Duration(b.keep.Load()))
	if err != nil {
		return answers
	}
	for _, q := range questions {
		a := policy.Answer{Known: true, Found: found[0]}
		if found = found[1:]; q.Map == policy.WrittenTo {
			a.Found, found = a.Found || found[0], found[1:]
			if learning != "" && !a.Found {
				a.Found, a.Text = true, learning
			}
		}
		answers[q] = a
	}
	return answers
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

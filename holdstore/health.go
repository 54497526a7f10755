package holdstore

import (
	"context"
	"strconv"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Overdue is what should have been taken up and was not.
type Overdue struct {
	Count int
	By    time.Duration // how long the first has waited for it
}

// OverdueHolds counts holds whose due moment is longer than grace ago.
func (s *Store) OverdueHolds(ctx context.Context, grace time.Duration) (Overdue, error) {
	return s.overdue(ctx, grace, func(at nodes.Shard) string { return stateKey(at, Held) })
}

// OverdueJobs counts jobs that should have been done longer than grace ago.
func (s *Store) OverdueJobs(ctx context.Context, grace time.Duration) (Overdue, error) {
	ours, err := s.overdue(ctx, grace, jobsKey)
	if err != nil {
		return ours, err
	}
	theirs, err := s.overdue(ctx, grace, askersKey) // one counts for all that its asker has
	return Overdue{Count: ours.Count + theirs.Count, By: max(ours.By, theirs.By)}, err
}

func (s *Store) overdue(ctx context.Context, grace time.Duration, name func(nodes.Shard) string) (o Overdue, err error) {
	all, now, err := s.nodes.Heads(ctx, name)
	if err != nil {
		return o, err
	}
	for _, h := range all {
		by := now.Sub(time.UnixMilli(int64(h.Score)))
		if by <= grace {
			continue
		}
		n, err := s.nodes.Client.ZCount(ctx, name(h.At), "-inf", strconv.FormatInt(now.Add(-grace).UnixMilli(), 10)).Result()
		if err != nil {
			return o, nodes.Explain(err)
		}
		o.Count, o.By = o.Count+int(n), max(o.By, by)
	}
	return o, nil
}

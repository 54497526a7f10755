package holdstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Stats counts.
type Stats struct {
	Count    map[State]int
	Bytes    int64         // content of held and releasing
	Oldest   time.Time     // HeldAt of the oldest held or releasing, up to ten seconds early
	Lateness time.Duration // of the latest release; of several shards the largest

	Remembering Remembering
}

// Stats reads the counts; with ErrPartial those of the servers that answer.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return Stats{}, partly
	}
	pipe := s.nodes.Client.Pipeline()
	var all []*shardStats
	for _, at := range shards {
		all = append(all, queueStats(ctx, pipe, at))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Stats{}, nodes.Explain(err)
	}
	out := Stats{Count: map[State]int{}}
	for _, st := range all {
		st.addTo(&out)
	}
	return out, partly
}

var allStates = []State{Held, Releasing, Released, Recalled}

// shardStats are the replies about one shard.
type shardStats struct {
	counts  []*redis.IntCmd
	ages    *redis.MapStringStringCmd
	numbers *redis.SliceCmd

	remembering *redis.MapStringStringCmd
}

func queueStats(ctx context.Context, pipe redis.Pipeliner, at nodes.Shard) *shardStats {
	st := &shardStats{}
	for _, state := range allStates {
		st.counts = append(st.counts, pipe.ZCard(ctx, stateKey(at, state)))
	}
	st.ages = pipe.HGetAll(ctx, agesKey(at))
	st.numbers = pipe.MGet(ctx, bytesKey(at), lateKey(at), shelvedKey(at))
	st.remembering = queueRemembering(ctx, pipe, at)
	return st
}

func (st *shardStats) addTo(out *Stats) {
	for n, state := range allStates {
		out.Count[state] += int(st.counts[n].Val())
	}
	for age := range st.ages.Val() {
		n, _ := strconv.ParseInt(age, 10, 64)
		if at := time.UnixMilli(n * ageStep.Milliseconds()).UTC(); out.Oldest.IsZero() || at.Before(out.Oldest) {
			out.Oldest = at
		}
	}
	number := func(n int) int64 {
		text, _ := st.numbers.Val()[n].(string)
		v, _ := strconv.ParseInt(text, 10, 64)
		return v
	}
	out.Bytes += number(0)
	out.Count[Released] += int(number(2))
	out.Remembering.add(st.remembering.Val())
	out.Lateness = max(out.Lateness, time.Duration(number(1))*time.Millisecond)
}

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
func (s *Store) OverdueJobs(ctx context.Context, grace time.Duration) (o Overdue, err error) {
	for _, set := range []func(nodes.Shard) string{jobsKey, usersKey, operatorsKey, requestersKey} {
		some, err := s.overdue(ctx, grace, set) // an asker counts as one, whatever they have
		if err != nil {
			return o, err
		}
		o = Overdue{Count: o.Count + some.Count, By: max(o.By, some.By)}
	}
	return o, nil
}

func (s *Store) overdue(
	ctx context.Context, grace time.Duration, name func(nodes.Shard) string,
) (o Overdue, err error) {
	all, now, err := s.nodes.Heads(ctx, name)
	if err != nil {
		return o, err
	}
	for _, h := range all {
		by := now.Sub(time.UnixMilli(int64(h.Score)))
		if by <= grace {
			continue
		}
		n, err := s.nodes.Client.ZCount(ctx, name(h.At), "-inf", stamp(now.Add(-grace))).Result()
		if err != nil {
			return o, nodes.Explain(err)
		}
		o.Count, o.By = o.Count+int(n), max(o.By, by)
	}
	return o, nil
}

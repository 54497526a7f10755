package holdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// waiting is what a shard has of held and releasing messages.
type waiting struct {
	bytes int64
	ages  map[string]int64 // how many of each ageStep
}

const countTries = 3 // a busy store changes while it is counted

// counters counts what waits, and compares it with the counters. While something comes or leaves it says nothing; nor
// when there are other faults that nobody repairs, since then it would count wrong.
func (f *fsck) counters(ctx context.Context, at nodes.Shard) error {
	if len(f.told) > 0 && !f.repair {
		return nil
	}
	var says, is waiting
	for range countTries {
		err := f.s.nodes.Client.Watch(ctx, func(tx *redis.Tx) (err error) {
			if is, err = f.waiting(ctx, at); err != nil {
				return err
			}
			if says, err = countersOf(ctx, tx, at); err != nil {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				if pipe.Exists(ctx, bytesKey(at)); f.repair && says.bytes != is.bytes {
					pipe.Set(ctx, bytesKey(at), is.bytes, 0)
				}
				if f.repair && !maps.Equal(says.ages, is.ages) {
					is.write(ctx, pipe, at)
				}
				return nil
			})
			return err
		}, bytesKey(at), stateKey(at, Releasing))
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue
		case err != nil:
			return nodes.Explain(err)
		}
		return f.compare(at, says, is)
	}
	return nil
}

func (f *fsck) compare(at nodes.Shard, says, is waiting) error {
	name := "shard " + string(at)
	if says.bytes != is.bytes {
		what := fmt.Sprintf("it counts %d bytes waiting, and there are %d", says.bytes, is.bytes)
		err := f.tell(Fault{Name: name, What: what, Fix: "the counter is set right"})
		if err != nil {
			return err
		}
	}
	if !maps.Equal(says.ages, is.ages) {
		return f.tell(Fault{Name: name, What: "its counters of how old is what waits are wrong",
			Fix: "they are set right"})
	}
	return nil
}

func countersOf(ctx context.Context, c redis.Cmdable, at nodes.Shard) (says waiting, err error) {
	text, err := c.Get(ctx, bytesKey(at)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return says, err
	}
	if says.bytes, err = strconv.ParseInt(text, 10, 64); err != nil && text != "" {
		says.bytes = -1 // not a number
	}
	ages, err := c.HGetAll(ctx, agesKey(at)).Result()
	says.ages = map[string]int64{}
	for age, n := range ages {
		says.ages[age], _ = strconv.ParseInt(n, 10, 64)
	}
	return says, err
}

func (w waiting) write(ctx context.Context, pipe redis.Pipeliner, at nodes.Shard) {
	pipe.Del(ctx, agesKey(at))
	for age, n := range w.ages {
		pipe.HSet(ctx, agesKey(at), age, n)
	}
}

// waiting counts what is in the sets of what waits.
func (f *fsck) waiting(ctx context.Context, at nodes.Shard) (is waiting, err error) {
	is.ages = map[string]int64{}
	err = f.eachPage(ctx, at, []State{Releasing, Held}, func(ids []string) error {
		pipe := f.s.nodes.Client.Pipeline()
		replies := make([]*redis.MapStringStringCmd, len(ids))
		for n, id := range ids {
			replies[n] = pipe.HGetAll(ctx, holdKey(at, id))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nodes.Explain(err)
		}
		for _, r := range replies {
			if fields := unpacked(r.Val()); len(fields) > 0 {
				size, _ := strconv.ParseInt(fields["size"], 10, 64)
				held, _ := strconv.ParseInt(fields["held_at"], 10, 64)
				is.bytes += size
				is.ages[strconv.FormatInt(held/ageStep.Milliseconds(), 10)]++
			}
		}
		return nil
	})
	return is, err
}

package holdstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// What meets a defect of ours each time is parked, so that it stands in the way of nothing else and of no other
// gateway: its due moment is further away than any loop looks. A hold stays held: it can be recalled, released (which
// is another try) and extended. Doctor and Fsck show what is parked, and Fsck's repair puts jobs back.

// ParkAfter is how many defects park a hold or a job.
const ParkAfter = 3

// parking is the part of scripts that counts a defect of a hold or job.
var parking = lua("park", "PARK_AFTER", ParkAfter)

// Parked lists the IDs of holds and of jobs that are parked, at most some of each. With ErrPartial there may be more.
func (s *Store) Parked(ctx context.Context, most int) (holds, jobs []string, err error) {
	list := func(name func(nodes.Shard) string) ([]string, error) {
		all, err := s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) []*redis.StringSliceCmd {
			parked := &redis.ZRangeBy{Min: fmt.Sprint(never), Max: "+inf", Count: int64(most)}
			return []*redis.StringSliceCmd{pipe.ZRangeByScore(ctx, name(at), parked)}
		})
		return all[:min(len(all), most)], err
	}
	if holds, err = list(heldKey); err != nil {
		return holds, nil, err
	}
	jobs, err = list(jobsKey)
	return holds, jobs, err
}

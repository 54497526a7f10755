package holdstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// shelved compares the counter of what is on shelves with what is there. A fault must show twice: what is put there
// meanwhile may be met, or not.
func (f *fsck) shelved(ctx context.Context, at nodes.Shard) error {
	if len(f.told) > 0 && !f.repair {
		return nil
	}
	says, is, err := f.countShelved(ctx, at)
	if err != nil || says == is {
		return err
	}
	again, isAgain, err := f.countShelved(ctx, at)
	if err != nil || again != says || isAgain != is {
		return err
	}
	if f.repair {
		if err := f.s.nodes.Run(ctx, at, shelvedScript, says, is).Err(); err != nil {
			return nodes.Explain(err)
		}
	}
	return f.tell(Fault{Name: "shard " + string(at), Fix: "the counter is set right",
		What: fmt.Sprintf("it counts %d records in shared hashes, and there are %d", says, is)})
}

// shelvedScript sets the counter, unless it has changed. ARGV: what it was, what it is.
var shelvedScript = drain(`
local says = redis.call('GET', P .. 'shelved')
if (tonumber(says or 0) or 0) == tonumber(ARGV[1]) then redis.call('SET', P .. 'shelved', ARGV[2]) end
return 'ok'
`)

func (f *fsck) countShelved(ctx context.Context, at nodes.Shard) (says, is int64, err error) {
	walk := &walk{s: f.s, set: endsKey(at), min: "-inf", max: "+inf", page: findPage}
	for {
		more, err := walk.fill(ctx)
		if err != nil {
			return 0, 0, err
		}
		if !more {
			break
		}
		pipe := f.s.nodes.Client.Pipeline()
		var lengths []*redis.IntCmd
		for _, z := range walk.ready {
			lengths = append(lengths, pipe.HLen(ctx, shelfKey(at, z.Member.(string))))
		}
		walk.ready = nil
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, 0, nodes.Explain(err)
		}
		for _, n := range lengths {
			is += n.Val()
		}
	}
	text, err := f.s.nodes.Client.GetRange(ctx, shelvedKey(at), 0, -1).Result()
	says, _ = strconv.ParseInt(text, 10, 64)
	return says, is, nodes.Explain(err)
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// remembered compares what is counted of remembered mail with what there is: the bytes of each network with its queue,
// and the sums with those.
func (f *fsck) remembered(ctx context.Context, at nodes.Shard) error {
	pipe := f.s.nodes.Client.Pipeline()
	lengths := make([]*redis.IntCmd, networkBuckets)
	for n := range lengths {
		lengths[n] = pipe.LLen(ctx, queueKey(at, n))
	}
	loads := pipe.ZRangeWithScores(ctx, loadKey(at), 0, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return nodes.Explain(err)
	}
	networks := map[int]bool{}
	for n, l := range lengths {
		networks[n] = l.Val() > 0
	}
	for _, z := range loads.Val() {
		n, err := strconv.Atoi(fmt.Sprint(z.Member))
		networks[n] = err == nil
	}
	for n, some := range networks {
		if !some {
			continue
		}
		if err := f.network(ctx, at, n); err != nil {
			return err
		}
	}
	return f.sums(ctx, at)
}

// loadScript sets the bytes of a network, unless they have changed. ARGV: network, what it was, what it is.
var loadScript = drain(`
if tonumber(redis.call('ZSCORE', P .. 'inload', ARGV[1]) or 0) ~= tonumber(ARGV[2]) then return 'changed' end
if ARGV[3] == '0' then redis.call('ZREM', P .. 'inload', ARGV[1])
else redis.call('ZADD', P .. 'inload', ARGV[3], ARGV[1]) end
return 'ok'
`)

// network compares the bytes of one network with what is in its queue, unless that changes meanwhile.
func (f *fsck) network(ctx context.Context, at nodes.Shard, n int) error {
	before, err := f.load(ctx, at, n)
	if err != nil {
		return err
	}
	var is int64
	for from := int64(0); ; from += fsckScan {
		entries, err := f.s.nodes.Client.LRange(ctx, queueKey(at, n), from, from+fsckScan-1).Result()
		if err != nil {
			return nodes.Explain(err)
		}
		for _, entry := range entries {
			if len(entry) >= entryLen+3+6 { // size and moment, as remembered.lua reads them
				is += int64(entry[entryLen])<<16 | int64(entry[entryLen+1])<<8 | int64(entry[entryLen+2])
			}
		}
		if len(entries) < fsckScan {
			break
		}
	}
	says, err := f.load(ctx, at, n)
	if err != nil || says != before || says == is {
		return err
	}
	if f.repair {
		if err := f.s.nodes.Run(ctx, at, loadScript, n, says, is).Err(); err != nil {
			return nodes.Explain(err)
		}
	}
	return f.tell(Fault{Name: fmt.Sprintf("shard %s, network %d", at, n), Fix: "the counter is set right",
		What: fmt.Sprintf("it counts %d bytes of remembered mail, and there are %d", says, is)})
}

func (f *fsck) load(ctx context.Context, at nodes.Shard, n int) (int64, error) {
	score, err := f.s.nodes.Client.ZScore(ctx, loadKey(at), strconv.Itoa(n)).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return int64(score), nodes.Explain(err)
}

// sumsScript compares the sums of all networks. ARGV: how many numbers networks have, whether to set the sums right.
// Output: what is counted of messages and bytes, and what there is.
var sumsScript = drain(`
local n, bytes = 0, 0
for i = 0, ARGV[1] - 1 do n = n + redis.call('LLEN', P .. 'inq:' .. i) end
local loads = redis.call('ZRANGE', P .. 'inload', 0, -1, 'WITHSCORES')
for i = 2, #loads, 2 do bytes = bytes + loads[i] end
local says = redis.call('HMGET', P .. 'insum', 'n', 'bytes')
says = {tonumber(says[1] or 0) or -1, tonumber(says[2] or 0) or -1}
local right = says[1] == n and says[2] == bytes
if ARGV[2] == '1' and not right then redis.call('HSET', P .. 'insum', 'n', int(n), 'bytes', int(bytes)) end
return {says[1], says[2], n, bytes}
`)

func (f *fsck) sums(ctx context.Context, at nodes.Shard) error {
	repair := map[bool]int{true: 1}[f.repair]
	sums, err := f.s.nodes.Run(ctx, at, sumsScript, networkBuckets, repair).Int64Slice()
	if err != nil || len(sums) != 4 || sums[0] == sums[2] && sums[1] == sums[3] {
		return nodes.Explain(err)
	}
	return f.tell(Fault{Name: "shard " + string(at), Fix: "the counters are set right",
		What: fmt.Sprintf("it counts %d remembered messages and %d bytes of them, and there are %d and %d", sums[0],
			sums[1], sums[2], sums[3])})
}

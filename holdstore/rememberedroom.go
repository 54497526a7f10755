package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// What is remembered of inbound mail has a budget, since strangers fill it: a part of the server's memory, and a
// number. When memory is tight the budget shrinks, to nothing if need be: held mail needs the room. What has to go is
// the oldest of the network that takes most, so that a flood pushes out itself. Each network has a queue, by the number
// of its hash.
const (
	rememberParts  = 4         // the budget is one of so many parts of maxmemory
	rememberMost   = 1_000_000 // messages in the whole store
	networkBuckets = 4096      // queues
	// bytes that one takes in Redis besides its value, by measurement: keys, times, queue, subject
	rememberCost    = 190
	clockOff        = time.Hour // beyond it, the moment that a message came is not believed
	giveWayMost     = 1000      // messages that one script forgets: others wait some milliseconds for it
	giveWayRounds   = 20        // scripts of one Reap
	expiredLooked   = 20        // messages of one queue that one script looks at
	sampledNetworks = 3         // queues that one script looks at besides those that it adds to
)

// remembering is the part of scripts that forgets what is beyond the budget.
var remembering = lua("remembered", "EXPIRED_LOOKED", expiredLooked, "SAMPLED_NETWORKS", sampledNetworks,
	"GIVE_WAY_MOST",
	giveWayMost)

// rememberScript keeps messages that came in, within the budget: remember.lua.
var rememberScript = script(remembering + lua("remember", "TOO_LARGE", maxSameSubject+sameSubjectSlack))

// giveWayScript forgets what is beyond the budget. ARGV: the first four of rememberScript. Output: 1, or 0 when there
// is more to do.
var giveWayScript = drain(remembering + `
return within(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])) and 1 or 0
`)

// Remember keeps messages for a while, in one round trip, as far as their budget goes. What can't be kept loses no
// mail: it can't be recalled.
func (s *Store) Remember(ctx context.Context, all []Remembered, keep time.Duration) error {
	rows := map[nodes.Shard][]any{}
	for _, r := range all {
		if len(r.MessageID) <= MaxNamed {
			at := s.nodes.Of(digest(r.From))
			rows[at] = append(rows[at], s.rememberRow(r, time.Now().Add(keep))...)
		}
	}
	for at, row := range rows {
		budget, err := s.rememberBudget(ctx, at)
		if err != nil {
			return err
		}
		args := append(append(budget, keep.Milliseconds()), row...)
		large, err := s.nodes.Run(ctx, at, rememberScript, args...).StringSlice()
		if err != nil {
			return nodes.Explain(err)
		}
		if err := s.thin(ctx, large); err != nil {
			return err
		}
	}
	return nil
}

// rememberRow is what rememberScript wants of one message.
func (s *Store) rememberRow(r Remembered, ends time.Time) []any {
	subject, network := subjectDigest(r.From, r.bare()), sha256.Sum256([]byte(networkOf(r.Ways)))
	name := receivedName(r.MessageID, r.From) // whoever else claims the Message-ID overwrites nothing
	to := r.Recipients[:min(len(r.Recipients), MaxRemembered)]
	r.Recipients, r.Subjects = Digests(to), Digests(r.Subjects)
	if len(r.Lock) > maxLock {
		r.Lock = ""
	}
	r.delivered = s.packDelivered(name, r.Delivered)
	came := r.At
	if off := time.Since(came); off.Abs() > clockOff {
		came = time.Now()
	}
	// A message with many recipients comes in by several transactions. Another content is another message.
	apart := append(r.Recipients, r.Delivered.content())
	slot, value := digest(strings.Join(apart, " "))[:slotLen], packReceived(r, ends)
	queue := binary.BigEndian.Uint16(network[:]) % networkBuckets
	return []any{name, slot, value, subject, origin(r.Ways), queue, rememberCost + len(value),
		came.UnixMilli()}
}

// rememberBudget is what a shard may remember: bytes, how many bytes are spare before memory is tight, and messages;
// and in how many parts they are.
func (s *Store) rememberBudget(ctx context.Context, at nodes.Shard) ([]any, error) {
	node, err := s.nodes.Node(ctx, at)
	if err != nil {
		return nil, nodes.Explain(err)
	}
	use, err := s.nodes.MemoryOf(ctx, node)
	if err != nil {
		return nil, err
	}
	shards := s.nodes.ShardsPerServer()
	return []any{use.Share(rememberParts) / shards, use.Spare() / shards, rememberMost / len(s.nodes.Shards),
		s.receivedParts()}, nil
}

// makeRoom has what is remembered give way to a hold for which the server had no memory. It says whether there is more
// now.
func (s *Store) makeRoom(ctx context.Context, at nodes.Shard) bool {
	made := s.room.made.Load()
	s.room.making.Lock()
	defer s.room.making.Unlock()
	if s.room.made.Load() != made {
		return true
	}
	left := func() string { return s.nodes.Client.HGet(ctx, rememberedKey(at), "n").Val() }
	before := left()
	if before == "" || before == "0" {
		return false
	}
	_, _ = s.giveWay(ctx, at) // the next look says whether it helped
	if left() == before {
		return false
	}
	s.room.made.Add(1)
	return true
}

// giveWay forgets of what is remembered what is beyond the budget; more: there is more to do at once.
func (s *Store) giveWay(ctx context.Context, at nodes.Shard) (more bool, err error) {
	if node, err := s.nodes.Node(ctx, at); err == nil {
		_, _ = s.nodes.LookAtMemory(ctx, node) // an error shows below
	}
	for range giveWayRounds {
		budget, err := s.rememberBudget(ctx, at)
		if err != nil {
			return false, err
		}
		done, err := s.nodes.Run(ctx, at, giveWayScript, budget...).Int()
		if err != nil || done == 1 {
			return false, nodes.Explain(err)
		}
	}
	return true, nil
}

// Remembering is what the store remembers of inbound mail.
type Remembering struct {
	Messages int
	Bytes    int64 // that they take in Redis, about
	Early    int64 // messages that were forgotten before their time, to keep the budget
}

// queueRemembering asks a shard; add reads the answer.
func queueRemembering(ctx context.Context, pipe redis.Pipeliner, at nodes.Shard) *redis.MapStringStringCmd {
	return pipe.HGetAll(ctx, rememberedKey(at))
}

func (r *Remembering) add(sum map[string]string) {
	var n, bytes, early int64
	fmt.Sscan(sum["n"], &n)
	fmt.Sscan(sum["bytes"], &bytes)
	fmt.Sscan(sum["early"], &early)
	r.Messages, r.Bytes, r.Early = r.Messages+int(n), r.Bytes+bytes, r.Early+early
}

// room is made in a full store, by one caller at a time.
type room struct {
	making sync.Mutex
	made   atomic.Int64 // how often there was some
}

// roomFor does what puts something into the store, and when the store is full, does it again once something gave way.
func (s *Store) roomFor(ctx context.Context, at nodes.Shard, put func() error) error {
	err := put()
	if err != nil && errors.Is(nodes.Explain(err), ErrFull) && s.makeRoom(ctx, at) {
		err = put()
	}
	return err
}

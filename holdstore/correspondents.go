package holdstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Who has written to whom is remembered in many small hashes, which Redis keeps as packed lists: about 20 bytes a pair.
// Where a pair is does not depend on its person, so that nobody makes one of them large. What strangers have sent has
// hashes of its own: they can't push out what our people have.
const (
	nameSize     = 6     // bytes of the name of a person or contact
	sentBuckets  = 16384 // in the whole store
	cameBuckets  = 8192
	bucketMost   = 120 // pairs; Redis packs up to 128
	pairsAtOnce  = 500 // of one script or pipeline
	bucketsRound = 500 // read at once
)

// correspondScript notes pairs: correspond.lua.
var correspondScript = script(lua("correspond", "MOST", bucketMost, "PERSON", nameSize))

// Correspondent is the keyed hash of an address, or of a domain. The store knows no other names of people here.
type Correspondent [nameSize]byte

// Pair says that a person of ours has written to a contact, or that the contact has written to them.
type Pair struct {
	Person, Contact Correspondent
	Came            bool // the contact wrote
	Day             int  // of the last time, since 1970
}

// Day is the number of a day since 1970, in UTC.
func Day(t time.Time) int { return int(t.Unix() / 86400) }

func (p Pair) field() string { return string(p.Person[:]) + string(p.Contact[:]) }

// bucket is which hash has the pair.
func (p Pair) bucket() int {
	var mixed [4]byte
	for n := range mixed {
		mixed[n] = p.Person[n] ^ p.Contact[n] // both are hashes
	}
	n := binary.BigEndian.Uint32(mixed[:])
	if p.Came {
		return sentBuckets + int(n%cameBuckets)
	}
	return int(n % sentBuckets)
}

// bucketKey is the shard and the name of a bucket.
func (s *Store) bucketKey(n int) (at nodes.Shard, name string) {
	at, name = s.nodes.Shards[n%len(s.nodes.Shards)], "co:"+strconv.Itoa(n)
	if n >= sentBuckets {
		name = "ci:" + strconv.Itoa(n-sentBuckets)
	}
	return at, name
}

// Acquaint notes pairs. What is older than keep is not noted.
func (s *Store) Acquaint(ctx context.Context, pairs []Pair, keep time.Duration) error {
	byShard := map[nodes.Shard][]any{}
	for some := range slices.Chunk(pairs, pairsAtOnce) {
		clear(byShard)
		for _, p := range some {
			at, name := s.bucketKey(p.bucket())
			byShard[at] = append(byShard[at], name, p.field(), p.Day)
		}
		for at, args := range byShard {
			args = append([]any{Day(time.Now()), days(keep)}, args...)
			if err := s.nodes.Run(ctx, at, correspondScript, args...).Err(); err != nil {
				return nodes.Explain(err)
			}
		}
	}
	return nil
}

func days(keep time.Duration) int { return max(1, int(keep/(24*time.Hour))) }

// Acquainted says which of some pairs are known within keep, in any direction where came is set.
func (s *Store) Acquainted(ctx context.Context, pairs []Pair, keep time.Duration) ([]bool, error) {
	known, oldest := make([]bool, 0, len(pairs)), Day(time.Now())-days(keep)
	for some := range slices.Chunk(pairs, pairsAtOnce) {
		pipe := s.nodes.Client.Pipeline()
		got := make([]*redis.StringCmd, len(some))
		for n, p := range some {
			at, name := s.bucketKey(p.bucket())
			got[n] = pipe.HGet(ctx, string(at)+name, p.field())
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return nil, nodes.Explain(err)
		}
		for _, g := range got {
			day, err := g.Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return nil, nodes.Explain(err)
			}
			known = append(known, err == nil && day >= oldest)
		}
	}
	return known, nil
}

// AcquaintedSince is the first day of which pairs are remembered; 0: there are none.
func (s *Store) AcquaintedSince(ctx context.Context) (day int, err error) {
	pipe := s.nodes.Client.Pipeline()
	var all []*redis.StringCmd
	for _, at := range s.nodes.Shards {
		all = append(all, pipe.Get(ctx, string(at)+"cosince"))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, nodes.Explain(err)
	}
	for _, one := range all {
		if d, err := one.Int(); err == nil && (day == 0 || d < day) {
			day = d
		}
	}
	return day, nil
}

// Acquaintances calls visit for all pairs; with ErrPartial for those of the servers that answer.
func (s *Store) Acquaintances(ctx context.Context, visit func(Pair) error) error {
	shards, partly := s.nodes.Visible(ctx)
	if partly != nil && !errors.Is(partly, ErrPartial) {
		return partly
	}
	for first := 0; first < sentBuckets+cameBuckets; first += bucketsRound {
		pipe := s.nodes.Client.Pipeline()
		some := map[int]*redis.MapStringStringCmd{} // by bucket
		for n := first; n < min(first+bucketsRound, sentBuckets+cameBuckets); n++ {
			if at, name := s.bucketKey(n); slices.Contains(shards, at) {
				some[n] = pipe.HGetAll(ctx, string(at)+name)
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nodes.Explain(err)
		}
		for n, one := range some {
			if err := visitPairs(one.Val(), n >= sentBuckets, visit); err != nil {
				return err
			}
		}
	}
	return partly
}

// visitPairs calls visit for the pairs of a bucket.
func visitPairs(bucket map[string]string, came bool, visit func(Pair) error) error {
	for field, day := range bucket {
		if len(field) != 2*nameSize {
			continue
		}
		p := Pair{Came: came}
		copy(p.Person[:], field)
		copy(p.Contact[:], field[nameSize:])
		p.Day, _ = strconv.Atoi(day)
		if err := visit(p); err != nil {
			return err
		}
	}
	return nil
}

// ForgetCorrespondent forgets all pairs of a person or contact, and says how many there were; with count, it only
// counts them. ErrPartial: other servers of a Cluster are away, and might have more.
func (s *Store) ForgetCorrespondent(ctx context.Context, who Correspondent, count bool) (n int, err error) {
	var found []Pair
	err = s.Acquaintances(ctx, func(p Pair) error {
		if p.Person == who || p.Contact == who {
			found = append(found, p)
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrPartial) || count {
		return len(found), err
	}
	n, wrong := s.dropPairs(ctx, found)
	return n, cmp.Or(wrong, err)
}

// ForgetOldPairs forgets what is older than keep, and says how many pairs that were.
func (s *Store) ForgetOldPairs(ctx context.Context, keep time.Duration) (n int, err error) {
	var old []Pair
	oldest := Day(time.Now()) - days(keep)
	err = s.Acquaintances(ctx, func(p Pair) error {
		if p.Day < oldest {
			old = append(old, p)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s.dropPairs(ctx, old)
}

func (s *Store) dropPairs(ctx context.Context, found []Pair) (n int, err error) {
	for some := range slices.Chunk(found, pairsAtOnce) {
		pipe := s.nodes.Client.Pipeline()
		for _, p := range some {
			at, name := s.bucketKey(p.bucket())
			pipe.HDel(ctx, string(at)+name, p.field())
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return n, nodes.Explain(err)
		}
		n += len(some)
	}
	return n, nil
}

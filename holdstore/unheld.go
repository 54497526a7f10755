package holdstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Unheld is an outbound message that was not held. Of it is only remembered who used its Message-ID: anybody who has
// seen that can send another message with it, which is not the one that a recall means.
type Unheld struct {
	shardOf string // what says where it is kept
	id      [sha256.Size]byte
	by      [unheldBy]byte
	at      time.Time
}

// NewUnheld is what is remembered of a message with a Message-ID that somebody submitted. It takes some hundred bytes,
// however long these are.
func NewUnheld(messageID, by string, at time.Time) Unheld {
	name := Fold(strings.Trim(messageID, "<>"))
	u := Unheld{shardOf: digest(name), id: sha256.Sum256([]byte(name)), at: at}
	sum := sha256.Sum256([]byte(by))
	copy(u.by[:], sum[:])
	return u
}

// An entry is small, so that a site that holds little can remember all: its Message-ID is known by 48 bits, its
// submitter by 32, and the moment in seconds. Redis packs up to 512 such fields of one hash into some 24 bytes each.
const (
	unheldBuckets = 4096           // hashes of a day
	unheldDay     = 24 * time.Hour // whose entries expire together
	unheldName    = 6              // bytes of a field
	unheldBy      = 4              // bytes of a submitter
)

// unheldScript remembers. The first that used a Message-ID stays; a flag says that there were others.
// ARGV: ms to keep, then of each: number of the hash, field, submitter, moment. Output: "ok".
var unheldScript = drain(`
for i = 2, #ARGV, 4 do
  local key, field, by = P .. 'out:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local was = redis.call('HGET', key, field)
  if not was then
    redis.call('HSET', key, field, by .. ARGV[i + 3])
    redis.call('PEXPIRE', key, ARGV[1])
  elseif string.sub(was, 1, #by) ~= by and #was == #by + #ARGV[i + 3] then
    redis.call('HSET', key, field, was .. '+')
  end
end
return 'ok'
`)

// RememberUnheld keeps who used which Message-ID for at least so long.
func (s *Store) RememberUnheld(ctx context.Context, all []Unheld, keep time.Duration) error {
	args := map[nodes.Shard][]any{}
	for _, u := range all {
		at, bucket, field := s.unheld(u)
		if args[at] == nil {
			args[at] = []any{(keep + unheldDay).Milliseconds()}
		}
		when := binary.BigEndian.AppendUint32(nil, uint32(u.at.Unix()))
		args[at] = append(args[at], bucket, field, string(u.by[:]), string(when))
	}
	for at, a := range args {
		if err := s.nodes.Run(ctx, at, unheldScript, a...).Err(); err != nil {
			return nodes.Explain(err)
		}
	}
	return nil
}

// unheld says where an entry is.
func (s *Store) unheld(u Unheld) (shard nodes.Shard, bucket, field string) {
	n := binary.BigEndian.Uint16(u.id[unheldName:]) % unheldBuckets
	day := strconv.FormatInt(u.at.Unix()/int64(unheldDay/time.Second), 10)
	return s.nodes.Of(u.shardOf), day + ":" + strconv.Itoa(int(n)), string(u.id[:unheldName])
}

// MessageIDUse says who else used a Message-ID.
type MessageIDUse struct {
	Before bool // somebody else, no later than the moment that was asked about
	After  bool // somebody else, later
}

// UnheldUse says who else than by used a Message-ID for a message that was not held, before and after a moment.
func (s *Store) UnheldUse(
	ctx context.Context, messageID, by string, moment time.Time, keep time.Duration,
) (use MessageIDUse, err error) {
	pipe := s.nodes.Client.Pipeline()
	var replies []*redis.StringCmd
	now := time.Now()
	for day := now.Add(-keep - unheldDay); !day.After(now.Add(unheldDay)); day = day.Add(unheldDay) {
		at, bucket, field := s.unheld(NewUnheld(messageID, by, day))
		replies = append(replies, pipe.HGet(ctx, unheldKey(at, bucket), field))
	}
	pipe.Exec(ctx)
	asker := NewUnheld(messageID, by, now)
	for _, r := range replies {
		entry, err := r.Bytes()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return use, nodes.Explain(err)
		case len(entry) < unheldBy+4:
			return use, fmt.Errorf("%w: who used %s can't be read", ErrDamaged, messageID)
		}
		mine := bytes.Equal(entry[:unheldBy], asker.by[:])
		first := time.Unix(int64(binary.BigEndian.Uint32(entry[unheldBy:])), 0)
		use.Before = use.Before || !mine && !first.After(moment)
		use.After = use.After || !mine && first.After(moment) || len(entry) > unheldBy+4
	}
	return use, nil
}

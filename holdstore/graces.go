package holdstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// The graces that people have chosen for themselves, by digests of their names. Daemons keep them all in
// memory, and look every second whether the version has changed.

// versionField of the hash counts its changes; no digest is empty.
const versionField = ""

// maxChosen bounds the choices in one shard: a daemon has all of them in memory.
const maxChosen = 200_000

// chooseScript keeps a choice. ARGV: digest, ms or "" for none, most choices, by, from, reason, detail; no by: another
// shard has the line of the trail. Output: "ok", or "full".
var chooseScript = drain(`
local key = P .. 'graces'
if ARGV[2] == '' then
  redis.call('HDEL', key, ARGV[1])
elseif not redis.call('HGET', key, ARGV[1]) and redis.call('HLEN', key) > tonumber(ARGV[3]) then
  return 'full'
else
  redis.call('HSET', key, ARGV[1], ARGV[2])
end
redis.call('HINCRBY', key, '', 1)
if ARGV[4] ~= '' then audit('', 'grace', ARGV[4], ARGV[5], ARGV[6], ARGV[7]) end
return 'ok'
`)

// ChooseGrace keeps the grace that somebody has chosen, under each of their names; nil: they have chosen none any more.
// One line of the audit trail tells of it.
func (s *Store) ChooseGrace(ctx context.Context, names []string, grace *time.Duration, a Actor) error {
	value, detail := "", "as the site says"
	if grace != nil {
		value, detail = strconv.FormatInt(grace.Milliseconds(), 10), short(*grace)
	}
	by := a.By
	for _, name := range names {
		did, err := s.nodes.RunDurable(ctx, s.nodes.Of(digest(name)), chooseScript, digest(name), value, maxChosen, by,
			a.From, a.Reason, detail).Text()
		switch {
		case err != nil:
			return nodes.Explain(err)
		case did == "full":
			return errors.New("too many people have chosen a grace: no more are kept")
		}
		by = ""
	}
	return nil
}

// ChosenGrace returns what somebody has chosen under the first of their names that has a choice; nil: nothing.
func (s *Store) ChosenGrace(ctx context.Context, names ...string) (*time.Duration, error) {
	for _, name := range names {
		text, err := s.nodes.Client.HGet(ctx, gracesKey(s.nodes.Of(digest(name))), digest(name)).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, nodes.Explain(err)
		}
		if grace, ok := chosen(text); ok {
			return &grace, nil
		}
	}
	return nil, nil
}

func chosen(ms string) (time.Duration, bool) {
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.Duration(n) * time.Millisecond, err == nil && n >= 0 && n < int64(maxGrace/time.Millisecond)
}

// maxGrace bounds what is read of a choice: ten years, as in the config.
const maxGrace = 3650 * 24 * time.Hour

// ChosenGraces returns all choices by the digests of their names, and their version. Those of a version that the caller
// has are not read again: all is nil then.
func (s *Store) ChosenGraces(ctx context.Context, have string) (all map[string]time.Duration, version string,
	err error) {
	shards, err := s.nodes.Visible(ctx)
	if err != nil {
		return nil, "", err // what is known of all is better than what is new of some
	}
	pipe, replies := s.nodes.Client.Pipeline(), []*redis.StringCmd{}
	for _, at := range shards {
		replies = append(replies, pipe.HGet(ctx, gracesKey(at), versionField))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !nodes.WrongType(err) {
		return nil, "", nodes.Explain(err)
	}
	var versions []string
	for _, r := range replies {
		versions = append(versions, r.Val())
	}
	if version = "v" + strings.Join(versions, " "); version == have {
		return nil, version, nil
	}
	all = map[string]time.Duration{}
	for _, at := range shards {
		some, err := s.nodes.Client.HGetAll(ctx, gracesKey(at)).Result()
		if err != nil && !nodes.WrongType(err) {
			return nil, "", nodes.Explain(err)
		}
		for digest, text := range some {
			if grace, ok := chosen(text); ok && digest != versionField {
				all[digest] = grace
			}
		}
	}
	return all, version, nil
}

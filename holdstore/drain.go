package holdstore

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// hastenBatch keeps one script short.
const hastenBatch = 200

// hastenScript makes holds due now. ARGV: event, ids... Output: how many were not due yet.
var hastenScript = drain(`
local n = 0
hurry(now)
for i = 2, #ARGV do
  local id = ARGV[i]
  if get(id, 'state') == 'held' and num(id, 'due') > now then
    n = n + 1
    set(id, 'due', int(now))
    redis.call('ZADD', P .. 'z:held', int(now), id)
    note(id, ARGV[1])
  end
end
return n
`)

// drainedScript writes one line into the trail. ARGV: by, from, reason, detail.
var drainedScript = drain(`audit('', 'drain', ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
`)

// WaitingIDs lists what waits: held and releasing.
func (s *Store) WaitingIDs(ctx context.Context) ([]string, error) {
	held, err := s.inState(ctx, Held)
	if err != nil {
		return nil, err
	}
	releasing, err := s.inState(ctx, Releasing)
	ids := append(held, releasing...)
	slices.Sort(ids) // time-ordered, and what was released between the two looks only once
	return slices.Compact(ids), err
}

// Hasten makes all these holds due now. after is told how many were looked at; what is not held any more stays as it is.
func (s *Store) Hasten(ctx context.Context, ids []string, a Act, after func(looked int)) error {
	err := s.run(ctx, s.shards[0], drainedScript, a.By, a.From, a.Reason, strconv.Itoa(len(ids))+" messages").Err()
	if err != nil {
		return explain(err)
	}
	event := eventLine(Event{Verb: "release now", By: a.By, Detail: a.Reason})
	groups, looked := s.grouped(ids), 0
	for _, at := range inOrder(groups) {
		for batch := range slices.Chunk(groups[at], hastenBatch) {
			args := []any{event}
			for _, id := range batch {
				args = append(args, id)
			}
			if err := s.run(ctx, at, hastenScript, args...).Err(); err != nil {
				return explain(err)
			}
			looked += len(batch)
			after(looked)
		}
	}
	return nil
}

// States reads the states of holds; "" stands for one that is gone.
func (s *Store) States(ctx context.Context, ids []string) ([]State, error) {
	states := make([]State, 0, len(ids))
	for page := range slices.Chunk(ids, findPage) {
		pipe := s.redis.Pipeline()
		replies := make([]*redis.StringCmd, len(page))
		for n, id := range page {
			replies[n] = pipe.HGet(ctx, s.of(id).hold(id), "state")
		}
		if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil {
			return nil, explain(err)
		}
		for _, r := range replies {
			states = append(states, State(r.Val()))
		}
	}
	return states, nil
}

// GetSome reads those of the holds that are still there; give it a page at a time.
func (s *Store) GetSome(ctx context.Context, ids []string) ([]*Hold, error) { return s.load(ctx, ids) }

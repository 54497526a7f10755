package holdstore

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Draining makes holds due now, as one of the steps to an empty store.
func (s *Store) Draining() Deed {
	return Deed{script: dueScript, verb: "drain", event: "release now", args: [2]any{"", ""}}
}

// WaitingIDs lists what waits: held and releasing; with ErrPartial that of the servers that answer.
func (s *Store) WaitingIDs(ctx context.Context) ([]string, error) {
	held, partly := s.inState(ctx, Held)
	if partly != nil && !errors.Is(partly, ErrPartial) {
		return nil, partly
	}
	releasing, err := s.inState(ctx, Releasing)
	return distinct(append(held, releasing...)), cmp.Or(err, partly) // what was released between the two looks only once
}

// States reads the states of holds; "" stands for one that is gone.
func (s *Store) States(ctx context.Context, ids []string) ([]State, error) {
	states := make([]State, 0, len(ids))
	for page := range slices.Chunk(ids, findPage) {
		pipe := s.nodes.Client.Pipeline()
		replies, there := make([]*redis.StringCmd, len(page)), make([]*redis.IntCmd, len(page))
		for n, id := range page {
			replies[n] = pipe.HGet(ctx, holdKey(s.nodes.Of(id), id), "state")
			there[n] = pipe.Exists(ctx, holdKey(s.nodes.Of(id), id))
		}
		if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil {
			return nil, nodes.Explain(err)
		}
		for n, r := range replies {
			state := State(r.Val())
			if state == "" && there[n].Val() == 1 {
				state = Held // nothing happened to it yet
			}
			states = append(states, state)
		}
	}
	return states, nil
}

// GetSome reads those of the holds that are still there and can be read; give it a page at a time.
func (s *Store) GetSome(ctx context.Context, ids []string) ([]*Hold, error) {
	holds, _, err := s.loadEach(ctx, ids)
	return holds, err
}

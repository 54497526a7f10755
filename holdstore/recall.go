package holdstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// act runs a script for a person: ARGV are id, event, by, from, reason, and then args. It returns the hold after it.
func (s *Store) act(ctx context.Context, sc *redis.Script, verb, ref, detail string, a Act, args ...any) (*Hold, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	said := detail
	if a.Reason != "" {
		said = a.Reason
	}
	event := eventLine(Event{Verb: verb, By: a.By, Detail: said})
	err := s.firmWord(ctx, sc, id, append([]any{event, a.By, a.From, a.Reason}, args...)...)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}

// word runs a script that answers with one word, in the shard of a hold.
func (s *Store) word(ctx context.Context, sc *redis.Script, id string, args ...any) error {
	return s.wordAt(ctx, s.nodes.Of(id), sc, id, args...)
}

func (s *Store) wordAt(ctx context.Context, at nodes.Shard, sc *redis.Script, id string, args ...any) error {
	return worded(s.nodes.Run(ctx, at, sc, append([]any{id}, args...)...), id)
}

// firmWord is word for what somebody relies on.
func (s *Store) firmWord(ctx context.Context, sc *redis.Script, id string, args ...any) error {
	return worded(s.nodes.RunReplicated(ctx, s.nodes.Of(id), sc, append([]any{id}, args...)...), id)
}

func worded(cmd *redis.Cmd, id string) error {
	w, err := cmd.Text()
	if errors.Is(err, nodes.ErrFewReplicas) {
		return fmt.Errorf("%s: %w, and a failover now would undo it", id, nodes.Explain(err))
	}
	if err != nil {
		return nodes.Explain(err)
	}
	return outcome(w, id)
}

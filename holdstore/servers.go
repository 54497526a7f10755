package holdstore

import (
	"context"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Health is what one Redis server that keeps holds says of itself.
type Health = nodes.Health

// Ready says whether the whole store may take holds now: nil, ErrUnavailable or ErrNotDurable with what to do about it.
func (s *Store) Ready(ctx context.Context) error { return s.nodes.Ready(ctx) }

// Ping says whether every server that keeps holds answers now.
func (s *Store) Ping(ctx context.Context) error { return s.nodes.Ping(ctx) }

// Writable says whether every server that keeps holds answers, and takes what is written now: ErrFull, ErrNotDurable or
// ErrUnavailable when one does not. Ready believes for a while what it found.
func (s *Store) Writable(ctx context.Context) error { return s.nodes.Writable(ctx) }

// Answers says within a few seconds whether a single Redis, or the primary of Sentinels, answers at all. Of a Cluster
// it says nothing: each search bounds what it waits for each server.
func (s *Store) Answers(ctx context.Context) error { return s.nodes.Answers(ctx) }

// Health asks every server that keeps holds. With an error it returns what the others say.
func (s *Store) Health(ctx context.Context) ([]Health, error) { return s.nodes.Health(ctx) }

// Warnings says what about the servers could lose or delay mail, although holds are taken: each with what to do about
// it.
func (s *Store) Warnings(ctx context.Context) ([]string, error) { return s.nodes.Warnings(ctx) }

// OnDefect sets what is told of each panic that the store survives: what it ended, and the stack. Call it before the
// store is used.
func (s *Store) OnDefect(tell func(what string, v any, stack []byte)) { s.nodes.OnDefect(tell) }

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// replicaWait bounds the wait for the replicas of one write.
const replicaWait = 2 * time.Second

// errFewReplicas: it is done on the primary, but a failover may undo it.
var errFewReplicas = errors.New("too few replicas acknowledged it")

// firmly runs a script whose outcome somebody relies on: a client that hears 250, a person who hears "recalled", a port
// that gets the message. With Options.Replicas it answers without error only when so many replicas have it as well, so
// that no failover undoes it. before adds commands in front of the script; all go in one round trip, over one
// connection: WAIT counts only what its own connection wrote.
func (s *Store) firmly(ctx context.Context, at keys, sc *redis.Script, before func(redis.Pipeliner), args ...any) *redis.Cmd {
	if s.opt.Replicas == 0 && before == nil {
		return s.run(ctx, at, sc, args...)
	}
	if err := s.admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	eval := evaluate(sc.EvalSha)
	for n := 0; ; n++ {
		cmd := s.once(ctx, at, eval, before, args)
		if n == maxMoves {
			return cmd
		}
		switch {
		case redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT"):
			eval = sc.Eval
		case !s.moved(ctx, cmd.Err()) && !s.otherLayout(ctx, at, cmd):
			return cmd
		}
	}
}

type evaluate func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (s *Store) once(ctx context.Context, at keys, eval evaluate, before func(redis.Pipeliner), args []any) *redis.Cmd {
	node, err := s.node(ctx, at)
	if err != nil {
		return failed(ctx, err)
	}
	pipe := node.Pipeline()
	if before != nil {
		before(pipe)
	}
	cmd := eval(ctx, pipe, []string{string(at)}, args...)
	var acks *redis.Cmd
	if s.opt.Replicas > 0 {
		acks = pipe.Do(ctx, "WAIT", s.opt.Replicas, replicaWait.Milliseconds())
	}
	_, err = pipe.Exec(ctx)
	if cmd.Err() != nil {
		return cmd
	}
	// Only the script's own error tells its outcome: a refused command before it says nothing about a reply that never came.
	if err != nil && !answered(err) {
		cmd.SetErr(err)
		return cmd
	}
	if acks == nil {
		return cmd
	}
	if n, err := acks.Int(); err != nil || n < s.opt.Replicas {
		cmd.SetErr(fmt.Errorf("%w: %d of %d", errFewReplicas, n, s.opt.Replicas))
		s.rests.begin(s, node, cmd.Err())
	}
	return cmd
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

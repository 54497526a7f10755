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
// that no failover undoes it. WAIT goes with the script over one connection: it counts only what its own connection wrote,
// and what was written and answered before.
func (s *Store) firmly(ctx context.Context, at keys, sc *redis.Script, args ...any) *redis.Cmd {
	if s.opt.Replicas == 0 {
		return s.run(ctx, at, sc, args...)
	}
	return s.firmlyAfter(ctx, at, nil, sc, args...)
}

// firmlyAfter is firmly with commands in front of the script, in one transaction: nothing is done before all is there, and Redis
// syncs once for all of it.
func (s *Store) firmlyAfter(ctx context.Context, at keys, before []redis.Cmder, sc *redis.Script, args ...any) *redis.Cmd {
	if err := s.admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	eval := evaluate(sc.EvalSha)
	for n := 0; ; n++ {
		cmd := s.once(ctx, at, before, eval, args)
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

func (s *Store) once(ctx context.Context, at keys, before []redis.Cmder, eval evaluate, args []any) *redis.Cmd {
	node, err := s.node(ctx, at)
	if err != nil {
		return failed(ctx, err)
	}
	pipe := node.Pipeline()
	if before != nil {
		pipe.Do(ctx, "MULTI")
		pipe.BatchProcess(ctx, before...)
	}
	cmd := eval(ctx, pipe, []string{string(at)}, args...)
	var exec *redis.Cmd
	if before != nil {
		exec = pipe.Do(ctx, "EXEC")
	}
	var acks *redis.Cmd
	if s.opt.Replicas > 0 {
		acks = pipe.Do(ctx, "WAIT", s.opt.Replicas, replicaWait.Milliseconds())
	}
	_, err = pipe.Exec(ctx)
	if exec != nil {
		executed(before, cmd, exec)
	}
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

// executed gives the script of a transaction its reply or error.
func executed(before []redis.Cmder, script, exec *redis.Cmd) {
	replies, err := exec.Slice()
	if redis.HasErrorPrefix(err, "EXECABORT") {
		for _, cmd := range append(before, script) {
			if cmd.Err() != nil {
				err = cmd.Err()
				break
			}
		}
	}
	if err == nil && len(replies) != len(before)+1 {
		err = fmt.Errorf("redis answered %d times for %d commands", len(replies), len(before)+1)
	}
	if err == nil {
		script.SetVal(replies[len(before)])
		err, _ = replies[len(before)].(error)
	}
	script.SetErr(err)
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

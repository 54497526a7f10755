package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	if err := s.admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	eval := sc.EvalSha
	for n := 0; ; n++ {
		cmd := s.attempt(ctx, at, func(pipe redis.Pipeliner) *redis.Cmd { return eval(ctx, pipe, []string{string(at)}, args...) })
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

// together is firmly for commands that are done in one transaction, whose last one is a script; it returns the script's reply.
// errHalfDone: Redis took them all, and could not do each of them.
func (s *Store) together(ctx context.Context, at keys, cmds []redis.Cmder) ([]any, error) {
	if err := s.admit(ctx, at); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		exec := s.attempt(ctx, at, func(pipe redis.Pipeliner) *redis.Cmd {
			pipe.Do(ctx, "MULTI")
			pipe.BatchProcess(ctx, cmds...)
			return pipe.Do(ctx, "EXEC")
		})
		executed(cmds, exec)
		if n == maxMoves || !s.moved(ctx, exec.Err()) && !s.otherLayout(ctx, at, exec) {
			return exec.Slice()
		}
	}
}

// attempt queues commands once, and those that wait for replicas behind them.
func (s *Store) attempt(ctx context.Context, at keys, queue func(redis.Pipeliner) *redis.Cmd) *redis.Cmd {
	node, err := s.node(ctx, at)
	if err != nil {
		return failed(ctx, err)
	}
	pipe := node.Pipeline()
	cmd := queue(pipe)
	var acks *redis.Cmd
	if s.opt.Replicas > 0 {
		acks = pipe.Do(ctx, "WAIT", s.opt.Replicas, replicaWait.Milliseconds())
	}
	_, err = pipe.Exec(ctx)
	if cmd.Err() != nil {
		return cmd
	}
	// Only the command's own error tells its outcome: a refused one before it says nothing about a reply that never came.
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

// executed gives a transaction the reply of its last command, or says why there is none.
func executed(cmds []redis.Cmder, exec *redis.Cmd) {
	if err := exec.Err(); err != nil {
		if answered(err) {
			exec.SetErr(unexecuted(cmds, err))
		}
		return
	}
	replies, err := exec.Slice()
	if err != nil || len(replies) != len(cmds) {
		exec.SetErr(fmt.Errorf("%w: it answered %d times for %d commands", errHalfDone, len(replies), len(cmds)))
		return
	}
	last := replies[len(replies)-1]
	if err, ok := last.(error); ok && redis.HasErrorPrefix(err, "SCHEMA") {
		exec.SetErr(err) // the script took all away again
		return
	}
	for _, reply := range replies {
		if err, ok := reply.(error); ok {
			exec.SetErr(fmt.Errorf("%w: %v", errHalfDone, err))
			return
		}
	}
	exec.SetVal(last)
}

// discarded begins EXEC's answer when Redis would not begin.
const discarded = "EXECABORT Transaction discarded because of"

// refusal is a reply of Redis, as go-redis has them.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError makes it a redis.Error.
func (refusal) RedisError() {}

// unexecuted says what an error of EXEC itself means: the error of a command that was not queued, or why Redis would not begin, when
// nothing was done. Anything else go-redis may have taken from among the replies.
func unexecuted(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	if why, ok := strings.CutPrefix(err.Error(), discarded+": "); ok {
		return refusal(why)
	}
	if misses(err) || redis.HasErrorPrefix(err, discarded) {
		return err
	}
	return fmt.Errorf("%w: %v", errHalfDone, err)
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

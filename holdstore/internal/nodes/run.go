package nodes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// moved says whether a server refused a command because its shard is elsewhere: nothing was done then, and it looks
// where. It looks too when a server did not answer, which may have been replaced.
func (ns *Nodes) moved(ctx context.Context, err error) bool {
	c, ok := ns.Client.(*redis.ClusterClient)
	if !ok || err == nil || Answered(err) && !misses(err) {
		return false
	}
	c.ReloadState(context.WithoutCancel(ctx))
	if !redis.HasErrorPrefix(err, "MOVED") && !redis.HasErrorPrefix(err, "READONLY") {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(movePause):
		return true
	}
}

// misses says whether a server's reply shows that our picture of the Cluster is old.
func misses(err error) bool {
	for _, word := range []string{"MOVED", "READONLY", "ASK", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"} {
		if redis.HasErrorPrefix(err, word) {
			return true
		}
	}
	return false
}

// Run runs a script in a shard, loading it when Redis does not know it (any more), and only while the shard has our layout.
func (ns *Nodes) Run(ctx context.Context, at Shard, sc *redis.Script, args ...any) *redis.Cmd {
	if err := ns.Admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	cmd := ns.RunAnyway(ctx, at, sc, args...)
	if ns.otherLayout(ctx, at, cmd) {
		cmd = ns.RunAnyway(ctx, at, sc, args...)
	}
	return cmd
}

// RunAnyway is run for scripts that do not look at the layout.
func (ns *Nodes) RunAnyway(ctx context.Context, at Shard, sc *redis.Script, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	for range maxMoves {
		node, err := ns.Node(ctx, at)
		if err != nil {
			return failed(ctx, err)
		}
		if cmd = sc.Run(ctx, node, []string{string(at)}, args...); !ns.moved(ctx, cmd.Err()) {
			break
		}
	}
	return cmd
}

// replicaWait bounds the wait for the replicas of one write.
const replicaWait = 2 * time.Second

// ErrFewReplicas: it is done on the primary, but a failover may undo it.
var ErrFewReplicas = errors.New("too few replicas acknowledged it")

// RunReplicated runs a script whose outcome somebody relies on: a client that hears 250, a person who hears "recalled", a port
// that gets the message. With Options.Replicas it answers without error only when so many replicas have it as well, so
// that no failover undoes it. WAIT goes with the script over one connection: it counts only what its own connection wrote,
// and what was written and answered before.
func (ns *Nodes) RunReplicated(ctx context.Context, at Shard, sc *redis.Script, args ...any) *redis.Cmd {
	if ns.opt.Replicas == 0 {
		return ns.Run(ctx, at, sc, args...)
	}
	if err := ns.Admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	eval := sc.EvalSha
	for n := 0; ; n++ {
		cmd := ns.attempt(ctx, at, func(pipe redis.Pipeliner) *redis.Cmd { return eval(ctx, pipe, []string{string(at)}, args...) })
		if n == maxMoves {
			return cmd
		}
		switch {
		case redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT"):
			eval = sc.Eval
		case !ns.moved(ctx, cmd.Err()) && !ns.otherLayout(ctx, at, cmd):
			return cmd
		}
	}
}

// ErrHalfDone: some commands of a transaction were done, and one was not. What was made of a hold is to be fenced off.
var ErrHalfDone = errors.New("redis refused one command of a transaction")

// Together is RunReplicated for commands that are done in one transaction, whose last one is a script; it returns the script's reply.
// ErrHalfDone: Redis took them all, and could not do each of them.
func (ns *Nodes) Together(ctx context.Context, at Shard, cmds []redis.Cmder) ([]any, error) {
	if err := ns.Admit(ctx, at); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		exec := ns.attempt(ctx, at, func(pipe redis.Pipeliner) *redis.Cmd {
			pipe.Do(ctx, "MULTI")
			pipe.BatchProcess(ctx, cmds...)
			return pipe.Do(ctx, "EXEC")
		})
		executed(cmds, exec)
		if n == maxMoves || !ns.moved(ctx, exec.Err()) && !ns.otherLayout(ctx, at, exec) {
			return exec.Slice()
		}
	}
}

// attempt queues commands once, and those that wait for replicas behind them.
func (ns *Nodes) attempt(ctx context.Context, at Shard, queue func(redis.Pipeliner) *redis.Cmd) *redis.Cmd {
	node, err := ns.Node(ctx, at)
	if err != nil {
		return failed(ctx, err)
	}
	pipe := node.Pipeline()
	cmd := queue(pipe)
	var acks *redis.Cmd
	if ns.opt.Replicas > 0 {
		acks = pipe.Do(ctx, "WAIT", ns.opt.Replicas, replicaWait.Milliseconds())
	}
	_, err = pipe.Exec(ctx)
	if cmd.Err() != nil {
		return cmd
	}
	// Only the command's own error tells its outcome: a refused one before it says nothing about a reply that never came.
	if err != nil && !Answered(err) {
		cmd.SetErr(err)
		return cmd
	}
	if acks == nil {
		return cmd
	}
	if n, err := acks.Int(); err != nil || n < ns.opt.Replicas {
		cmd.SetErr(fmt.Errorf("%w: %d of %d", ErrFewReplicas, n, ns.opt.Replicas))
		ns.silent.begin(ns, node, cmd.Err())
	}
	return cmd
}

// executed gives a transaction the reply of its last command, or says why there is none.
func executed(cmds []redis.Cmder, exec *redis.Cmd) {
	if err := exec.Err(); err != nil {
		if Answered(err) {
			exec.SetErr(unexecuted(cmds, err))
		}
		return
	}
	replies, err := exec.Slice()
	if err != nil || len(replies) != len(cmds) {
		exec.SetErr(fmt.Errorf("%w: it Answered %d times for %d commands", ErrHalfDone, len(replies), len(cmds)))
		return
	}
	last := replies[len(replies)-1]
	if err, ok := last.(error); ok && redis.HasErrorPrefix(err, "SCHEMA") {
		exec.SetErr(err) // the script took all away again
		return
	}
	for _, reply := range replies {
		if err, ok := reply.(error); ok {
			exec.SetErr(fmt.Errorf("%w: %v", ErrHalfDone, err))
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
	return fmt.Errorf("%w: %v", ErrHalfDone, err)
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

package nodes

import (
	"context"
	"errors"
	"fmt"
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
	if !begins(err, "MOVED") && !begins(err, "READONLY") {
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
		if begins(err, word) {
			return true
		}
	}
	return false
}

// Run runs a script in a shard, loading it when Redis does not know it (any more), and only while the shard has our
// layout.
func (ns *Nodes) Run(ctx context.Context, at Shard, sc *Script, args ...any) *redis.Cmd {
	if err := ns.Admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	cmd := ns.RunAnyway(ctx, at, sc, args...)
	if ns.otherLayout(ctx, at, cmd) {
		cmd = ns.RunAnyway(ctx, at, sc, args...)
	}
	return cmd
}

// RunAnyway is Run for scripts that do not check the layout.
func (ns *Nodes) RunAnyway(ctx context.Context, at Shard, sc *Script, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	for range maxMoves {
		node, err := ns.Node(ctx, at)
		if err != nil {
			return failed(ctx, err)
		}
		if cmd = sc.made().Run(ctx, node, []string{string(at)}, args...); !ns.moved(ctx, cmd.Err()) {
			break
		}
	}
	return cmd
}

const (
	replicaWait = 2 * time.Second // for the replicas of one write
	diskWait    = 2 * time.Second // for the disk
)

// ErrFewReplicas says that a write is done on the primary, but a failover may undo it.
var ErrFewReplicas = errors.New("too few replicas acknowledged it")

// RunDurable runs a script whose outcome somebody relies on: a client that hears 250, a person who hears "recalled", a
// port that gets the message. It answers without error only when what was written stays: when it is on the disk, which
// a Redis with WAITAOF proves for each write and any other by its settings, and when so many replicas have it as
// Options.Replicas says, so that no failover undoes it. Both waits go with the script over one connection: they count
// only what their own connection wrote.
func (ns *Nodes) RunDurable(ctx context.Context, at Shard, sc *Script, args ...any) *redis.Cmd {
	return ns.RunDurableWith(ctx, at, nil, sc, args...)
}

// Value is what a key gets for a while, unless it is there.
type Value struct {
	Key  string
	Text []byte
	For  time.Duration
}

// RunDurableWith is RunDurable for a script that finds values in the shard: they are set in one transaction with it.
// What goes through a script instead is copied twice there, and Lua looks at each byte of it. A key that is there stays
// as it is: what is sent twice may be in use. The values stay for their time when the script is refused.
func (ns *Nodes) RunDurableWith(ctx context.Context, at Shard, values []Value, sc *Script, args ...any) *redis.Cmd {
	if err := ns.Admit(ctx, at); err != nil {
		return failed(ctx, err)
	}
	made := sc.made()
	eval := made.EvalSha
	for n := 0; ; n++ {
		cmd := ns.attempt(ctx, at, func(pipe redis.Pipeliner) *redis.Cmd {
			return eval(ctx, pipe, []string{string(at)}, args...)
		}, values)
		if n == maxMoves {
			return cmd
		}
		switch {
		case begins(cmd.Err(), "NOSCRIPT"):
			eval = made.Eval
		case !ns.moved(ctx, cmd.Err()) && !ns.otherLayout(ctx, at, cmd):
			return cmd
		}
	}
}

// attempt queues a script once, with the values that it finds, and behind it the waits for its write.
func (ns *Nodes) attempt(ctx context.Context, at Shard, queue func(redis.Pipeliner) *redis.Cmd,
	values []Value) *redis.Cmd {
	node, err := ns.Node(ctx, at)
	if err != nil {
		return failed(ctx, err)
	}
	pipe := node.Pipeline()
	cmd, ended := inTransaction(ctx, pipe, values, queue)
	var synced, acks *redis.Cmd
	if ns.opt.strict() && ns.durable.provable(node) {
		synced = pipe.Do(ctx, "WAITAOF", 1, 0, diskWait.Milliseconds())
	}
	if ns.opt.Replicas > 0 {
		acks = pipe.Do(ctx, "WAIT", ns.opt.Replicas, replicaWait.Milliseconds())
	}
	_, err = pipe.Exec(ctx)
	ended(err)
	if cmd.Err() != nil {
		return cmd
	}
	// Only the command's own error tells its outcome: a refused one before it says nothing about a reply that never
	// came.
	if err != nil && !Answered(err) {
		cmd.SetErr(err)
		return cmd
	}
	if err := ns.onDisk(node, synced); err != nil {
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

// inTransaction queues a script behind the values that it finds. With the first error of the pipeline, ended fills in
// what became of the script: until then it has the reply that it was queued.
func inTransaction(ctx context.Context, pipe redis.Pipeliner, values []Value,
	queue func(redis.Pipeliner) *redis.Cmd) (cmd *redis.Cmd, ended func(error)) {
	if len(values) == 0 {
		return queue(pipe), func(error) {}
	}
	multi := pipe.Do(ctx, "MULTI")
	for _, v := range values {
		pipe.SetNX(ctx, v.Key, v.Text, v.For)
	}
	cmd = queue(pipe)
	exec := pipe.Do(ctx, "EXEC")
	return cmd, func(first error) {
		switch replies, err := exec.Slice(); {
		case multi.Err() != nil:
			// There was no transaction, and cmd has the reply of the script.
		case err != nil && Answered(err):
			cmd.SetErr(discardedFor(first)) // nothing was done; where a command was refused, EXEC does not say why
		case err != nil:
			cmd.SetErr(err)
		case len(replies) <= len(values):
			cmd.SetErr(fmt.Errorf("redis answered %d times for %d commands", len(replies), len(values)+1))
		default:
			cmd.SetVal(replies[len(values)])
			if refused, is := cmd.Val().(error); is {
				cmd.SetErr(refused)
			}
		}
	}
}

// onDisk reads what WAITAOF said: ErrNotDurable, unless the write is on the disk of the server, or it can't say.
func (ns *Nodes) onDisk(node redis.UniversalClient, synced *redis.Cmd) error {
	if synced == nil {
		return nil
	}
	err := synced.Err()
	if begins(err, "NOPERM") || begins(err, "ERR unknown command") {
		ns.durable.prove(node, false) // from now on its settings count
		ns.durable.forget()
		// Not as a refusal: the script before it has run.
		return fmt.Errorf("%w: redis at %s does not let us ask whether a write is on its disk: %v", ErrNotDurable,
			ns.Address(node), err)
	}
	counts, wrong := synced.Int64Slice()
	if wrong != nil || len(counts) != 2 || counts[0] < 1 {
		ns.durable.forget() // its settings may have changed
		return fmt.Errorf("%w: redis at %s has not written it to its disk within %v: "+
			"see that its appendonly is on and its disk well: %v",
			ErrNotDurable, ns.Address(node), diskWait, wrong)
	}
	return nil
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

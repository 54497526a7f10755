package nodes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	probeTime  = time.Second            // for one probe of an unresponsive server; then it is probed again
	probePause = 250 * time.Millisecond // between two looks
	probesLast = time.Minute            // a server that never comes back is replaced, and its client with it
)

// unresponsive are the servers that hang, or whose replicas do. Nobody waits for them: only what they keep has to wait.
// A probe in the background asks each again until it answers.
type unresponsive struct {
	mu  sync.Mutex
	why map[redis.UniversalClient]error
}

// of returns why a server is not asked; nil: it is asked.
func (r *unresponsive) of(node redis.UniversalClient) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[node]
}

// begin stops asking a server until it and its replicas answer.
func (r *unresponsive) begin(ns *Nodes, node redis.UniversalClient, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = map[redis.UniversalClient]error{}
	}
	if r.why[node] != nil || ns.ctx.Err() != nil {
		return
	}
	r.why[node] = Explain(ns.saidBy(node, why))
	ns.work.Go(func() {
		_ = ns.Guard("the watch on a server that hangs", func() error { ns.await(node); return nil })
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.why, node)
	})
}

// await returns when the server answers.
func (ns *Nodes) await(node redis.UniversalClient) {
	ctx, cancel := context.WithTimeout(ns.ctx, probesLast)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probePause):
		}
		err := ns.probe(ctx, node)
		if err == nil || errors.Is(err, redis.ErrClosed) {
			return
		}
		ns.moved(ctx, err)
	}
}

// probe asks for a sign of life: of the server, and when they count, of its replicas.
func (ns *Nodes) probe(ctx context.Context, node redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if ns.opt.Replicas == 0 {
		return node.Ping(ctx).Err()
	}
	pipe := node.Pipeline()
	// A write, for WAIT to wait for; one of the keys belongs to the server, and the others are refused.
	for _, at := range ns.Shards {
		pipe.Set(ctx, at.key("probe"), 1, probesLast)
	}
	acks := pipe.Do(ctx, "WAIT", ns.opt.Replicas, probeTime.Milliseconds()*9/10)
	if _, err := pipe.Exec(ctx); err != nil && !Answered(err) {
		return err
	}
	if n, err := acks.Int(); err != nil || n < ns.opt.Replicas {
		return fmt.Errorf("%w: %d, %w", ErrFewReplicas, n, err)
	}
	return nil
}

// answers says whether a server of a Cluster can be read, and soon.
func (ns *Nodes) answers(ctx context.Context, node redis.UniversalClient) error {
	if err := ns.silent.of(node); err != nil && !errors.Is(err, ErrFewReplicas) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, HeadTime)
	defer cancel()
	err := node.Ping(ctx).Err()
	if err != nil && !Answered(err) {
		ns.silent.begin(ns, node, err)
	}
	return Explain(ns.saidBy(node, err))
}

// saidBy names the server in an error that does not: that of one that hangs.
func (ns *Nodes) saidBy(node redis.UniversalClient, err error) error {
	if addr := ns.Address(node); err != nil && !strings.Contains(err.Error(), addr) && !Answered(err) {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return err
}

// Reach says within HeadTime whether a shard's server, in a Cluster, can be read. ErrPartial: other servers can. Where
// there is only one server, the caller waits for it.
func (ns *Nodes) Reach(ctx context.Context, at Shard) error {
	if len(ns.Shards) == 1 {
		return nil
	}
	node, err := ns.Node(ctx, at)
	if err != nil {
		return Explain(err)
	}
	err = ns.answers(ctx, node)
	if err == nil {
		return nil
	}
	if _, wrong := ns.Readable(ctx); wrong != nil {
		return wrong
	}
	return err
}

// Skipped says why a shard's server, in a Cluster, is not asked now. Work on many shards waits only once for a server
// that hangs.
func (ns *Nodes) Skipped(ctx context.Context, at Shard) error {
	if len(ns.Shards) == 1 {
		return nil
	}
	node, err := ns.Node(ctx, at)
	if err != nil {
		return Explain(err)
	}
	return ns.silent.of(node)
}

// NoteSilence stops asking a shard's server, in a Cluster, when err says that it did not answer.
func (ns *Nodes) NoteSilence(ctx context.Context, at Shard, err error) {
	if err == nil || Answered(err) || errors.Is(err, ErrFewReplicas) || len(ns.Shards) == 1 {
		return
	}
	if node, wrong := ns.Node(ctx, at); wrong == nil {
		ns.silent.begin(ns, node, err)
	}
}

// Unresponsive says why a shard's server is not asked now, also when it is the only one; nil: it is asked.
func (ns *Nodes) Unresponsive(ctx context.Context, at Shard) error {
	node, err := ns.Node(ctx, at)
	if err != nil {
		return Explain(err)
	}
	return ns.silent.of(node)
}

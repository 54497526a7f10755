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
	probeTime  = time.Second            // for one look at a server that unresponsive, and then it is asked again
	probePause = 250 * time.Millisecond // between two looks
	probesLast = time.Minute            // a server that never comes back is replaced, and its client with it
)

// unresponsive are the servers that hang, or whose replicas do. Nobody waits for them: what they keep has to wait, what is on
// other servers has not. A look in the background ends a rest.
type unresponsive struct {
	mu  sync.Mutex
	why map[redis.UniversalClient]error
}

// Of returns why a server unresponsive; nil: it does not.
func (r *unresponsive) of(node redis.UniversalClient) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[node]
}

// begin lets a server rest until it answers, with its replicas.
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
		ns.Guard("the watch on a server that hangs", func() error { ns.await(node); return nil })
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
	// A write, for WAIT to wait for; one of the shard belongs to the server, and the others are refused.
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

// Reach says soon, of the server of a shard, one of a Cluster, whether it can be read. ErrPartial: others can. For the only server
// that there is its caller waits.
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

// Skipped says why the server of a shard, one of a Cluster, is not asked now: what is done in many shards waits once for one that hangs.
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

// NoteSilence lets the server of a shard, one of a Cluster, rest when it did not answer.
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

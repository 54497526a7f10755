package holdstore

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
	probeTime  = time.Second            // for one look at a server that rests, and then it is asked again
	probePause = 250 * time.Millisecond // between two looks
	probesLast = time.Minute            // a server that never comes back is replaced, and its client with it
)

// rests are the servers that hang, or whose replicas do. Nobody waits for them: what they keep has to wait, what is on
// other servers has not. A look in the background ends a rest.
type rests struct {
	mu  sync.Mutex
	why map[redis.UniversalClient]error
}

// of returns why a server rests; nil: it does not.
func (r *rests) of(node redis.UniversalClient) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[node]
}

// begin lets a server rest until it answers, with its replicas.
func (r *rests) begin(s *Store, node redis.UniversalClient, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = map[redis.UniversalClient]error{}
	}
	if r.why[node] != nil || s.ctx.Err() != nil {
		return
	}
	r.why[node] = explain(s.saidBy(node, why))
	s.work.Go(func() {
		s.guarded("the watch on a server that hangs", func() error { s.await(node); return nil })
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.why, node)
	})
}

// await returns when the server answers.
func (s *Store) await(node redis.UniversalClient) {
	ctx, cancel := context.WithTimeout(s.ctx, probesLast)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probePause):
		}
		err := s.probe(ctx, node)
		if err == nil || errors.Is(err, redis.ErrClosed) {
			return
		}
		s.moved(ctx, err)
	}
}

// probe asks for a sign of life: of the server, and when they count, of its replicas.
func (s *Store) probe(ctx context.Context, node redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if s.opt.Replicas == 0 {
		return node.Ping(ctx).Err()
	}
	pipe := node.Pipeline()
	// A write, for WAIT to wait for; one of the keys belongs to the server, and the others are refused.
	for _, at := range s.shards {
		pipe.Set(ctx, at.probe(), 1, probesLast)
	}
	acks := pipe.Do(ctx, "WAIT", s.opt.Replicas, probeTime.Milliseconds()*9/10)
	if _, err := pipe.Exec(ctx); err != nil && !answered(err) {
		return err
	}
	if n, err := acks.Int(); err != nil || n < s.opt.Replicas {
		return fmt.Errorf("%w: %d, %w", errFewReplicas, n, err)
	}
	return nil
}

// answers says whether a server of a Cluster can be read, and soon.
func (s *Store) answers(ctx context.Context, node redis.UniversalClient) error {
	if err := s.rests.of(node); err != nil && !errors.Is(err, errFewReplicas) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	err := node.Ping(ctx).Err()
	if err != nil && !answered(err) {
		s.rests.begin(s, node, err)
	}
	return explain(s.saidBy(node, err))
}

// saidBy names the server in an error that does not: that of one that hangs.
func (s *Store) saidBy(node redis.UniversalClient, err error) error {
	if addr := s.address(node); err != nil && !strings.Contains(err.Error(), addr) && !answered(err) {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return err
}

// reach says soon, of the server of a shard, one of a Cluster, whether it can be read. ErrPartial: others can. For the only server
// that there is its caller waits.
func (s *Store) reach(ctx context.Context, at keys) error {
	if len(s.shards) == 1 {
		return nil
	}
	node, err := s.node(ctx, at)
	if err != nil {
		return explain(err)
	}
	err = s.answers(ctx, node)
	if err == nil {
		return nil
	}
	if _, wrong := s.readable(ctx); wrong != nil {
		return wrong
	}
	return err
}

// resting says why the server of a shard, one of a Cluster, is not asked now: what is done in many shards waits once for one that hangs.
func (s *Store) resting(ctx context.Context, at keys) error {
	if len(s.shards) == 1 {
		return nil
	}
	node, err := s.node(ctx, at)
	if err != nil {
		return explain(err)
	}
	return s.rests.of(node)
}

// letRest lets the server of a shard, one of a Cluster, rest when it did not answer.
func (s *Store) letRest(ctx context.Context, at keys, err error) {
	if err == nil || answered(err) || errors.Is(err, errFewReplicas) || len(s.shards) == 1 {
		return
	}
	if node, wrong := s.node(ctx, at); wrong == nil {
		s.rests.begin(s, node, err)
	}
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
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
	r.why[node] = explain(why)
	s.work.Go(func() {
		s.await(node)
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
	return explain(err)
}

package web

import (
	"context"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore"
)

// A message to tens of thousands of recipients takes twenty times as much memory as its record, and some more to be
// shown. So what all requests have read is bounded in bytes of records; whoever finds no room waits for others'
// answers. Nobody waits for more than one request of each person: a second one of the same person waits before it asks
// for room.
const (
	roomBytes  = 16 << 20 // of the records that all requests have read
	smallBytes = 64 << 10 // a request for less takes no room
)

type room struct {
	*semaphore.Weighted
	turns *turns
}

func newRoom() room { return room{semaphore.NewWeighted(roomBytes), &turns{of: map[string]*turn{}}} }

// turns let one request of each person have room at a time.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	*semaphore.Weighted
	wanted int // by how many requests
}

// take waits for a person's turn. leave must be called at its end.
func (t *turns) take(ctx context.Context, who string) (leave func(), err error) {
	t.mu.Lock()
	own := t.of[who]
	if own == nil {
		own = &turn{Weighted: semaphore.NewWeighted(1)}
		t.of[who] = own
	}
	own.wanted++
	t.mu.Unlock()
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.wanted--; own.wanted == 0 {
			delete(t.of, who)
		}
	}
	if err := own.Acquire(ctx, 1); err != nil {
		gone()
		return nil, err
	}
	return func() { own.Release(1); gone() }, nil
}

// stay is what one request has of the room, until its answer begins.
type stay struct {
	mu    sync.Mutex
	taken int64
	leave func() // ends the person's turn
	room  room
}

type stayKey struct{}

// staying gives each request a stay.
func (r room) staying(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		ctx := context.WithValue(q.Context(), stayKey{}, &stay{room: r})
		defer leaveRoom(ctx)
		inner.ServeHTTP(leaving{w, ctx}, q.WithContext(ctx))
	})
}

// leaving gives the room back when an answer begins: it is whole then, and whoever reads it slowly keeps no other
// waiting.
type leaving struct {
	http.ResponseWriter
	ctx context.Context
}

func (l leaving) Write(b []byte) (int, error) {
	leaveRoom(l.ctx)
	return l.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (l leaving) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// enter waits until there is room for so many bytes of records that somebody wants. A request that has room already
// goes on with it: one that waited for more could wait for another that waits for it.
func (r room) enter(ctx context.Context, who string, bytes int64) error {
	s, ok := ctx.Value(stayKey{}).(*stay)
	if !ok || bytes < smallBytes {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken > 0 {
		return nil
	}
	leave, err := r.turns.take(ctx, who)
	if err != nil {
		return err
	}
	bytes = min(bytes, roomBytes)
	if err := r.Acquire(ctx, bytes); err != nil {
		leave()
		return err
	}
	s.taken, s.leave = bytes, leave
	return nil
}

// leaveRoom gives back what a request has.
func leaveRoom(ctx context.Context) {
	s, ok := ctx.Value(stayKey{}).(*stay)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken > 0 {
		s.room.Release(s.taken)
		s.leave()
		s.taken = 0
	}
}

// enter waits until there is room for the records of some messages, and of the newest of some people.
func (s *Server) enter(ctx context.Context, c *caller, refs []string, all []holdstore.Whose, newest int) error {
	var bytes int64
	if len(all) == 0 {
		all, newest = []holdstore.Whose{{}}, 0
	}
	for _, who := range all {
		n, err := s.store.RecordBytes(ctx, refs, who, newest)
		if err != nil {
			return err
		}
		bytes += n
	}
	return s.room.enter(ctx, c.name, bytes)
}

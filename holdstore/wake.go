package holdstore

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// NextDue returns how long until the next hold is due (0 or less: now); ok is false when none is held. With ErrPartial
// it tells of what the other servers have.
func (s *Store) NextDue(ctx context.Context) (wait time.Duration, ok bool, err error) {
	all, now, err := s.nodes.Heads(ctx, heldKey)
	if len(all) == 0 {
		return 0, false, err
	}
	return time.UnixMilli(int64(all[0].Score)).Sub(now), true, err
}

const (
	wakePing  = 5 * time.Second // a server that is silent for so long is pinged, and left when it stays silent
	wakePause = time.Second     // between two attempts to connect
)

// Wake signals (capacity 1) when a hold became due earlier than what was the head; ends with ctx.
// It reconnects by itself and also signals after each reconnect. The channel is closed at the end.
func (s *Store) Wake(ctx context.Context) <-chan struct{} {
	bell := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.work.Go(func() {
		defer close(bell)
		defer cancel()
		defer stop()
		for n := 0; ctx.Err() == nil; n++ {
			_ = s.nodes.Guard("the waiting for due mail, which begins anew", func() error {
				s.listen(ctx, n, bell)
				return nil
			})
			pause(ctx, wakePause)
		}
	})
	return bell
}

// wakes lists the channels of all shards, beginning with one of them, at whose server a Cluster's client connects: any
// server hears all channels, so that one that is away is left for the next.
func (s *Store) wakes(first int) (names []string) {
	for n := range s.nodes.Shards {
		names = append(names, wakeKey(s.nodes.Shards[(first+n)%len(s.nodes.Shards)]))
	}
	return names
}

// listen hears one connection until it is dead.
func (s *Store) listen(ctx context.Context, n int, bell chan<- struct{}) {
	sub := s.nodes.Client.Subscribe(ctx, s.wakes(n)...)
	defer sub.Close()
	closing := context.AfterFunc(ctx, func() { sub.Close() })
	defer closing()
	for pinged := false; ; {
		message, err := sub.ReceiveTimeout(ctx, wakePing)
		var silence net.Error
		if errors.As(err, &silence) && silence.Timeout() && !pinged && sub.Ping(ctx) == nil {
			pinged = true
			continue
		}
		if err != nil {
			return
		}
		pinged = false
		if _, pong := message.(*redis.Pong); pong {
			continue
		}
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

package holdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// NextDue returns how long until the next hold is due (0 or less: now); ok is false when none is held. With ErrPartial it
// tells of what the other servers have.
func (s *Store) NextDue(ctx context.Context) (wait time.Duration, ok bool, err error) {
	all, now, err := s.heads(ctx, heldSet)
	if len(all) == 0 {
		return 0, false, err
	}
	return time.UnixMilli(int64(all[0].score)).Sub(now), true, err
}

func heldSet(at keys) string { return at.state(Held) }

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
			s.listen(ctx, n, bell)
		}
	})
	return bell
}

// wakes lists the channels of all shards, beginning with one of them, at whose server a Cluster's client connects: any
// server hears all channels, so that one that is away is left for the next.
func (s *Store) wakes(first int) (names []string) {
	for n := range s.shards {
		names = append(names, s.shards[(first+n)%len(s.shards)].wake())
	}
	return names
}

// listen hears one connection until it is dead.
func (s *Store) listen(ctx context.Context, n int, bell chan<- struct{}) {
	sub := s.redis.Subscribe(ctx, s.wakes(n)...)
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
			break
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
	pause(ctx, wakePause)
}

// Claim is one due hold, leased to this daemon.
type Claim struct {
	Hold
	token string

	mu    sync.Mutex
	until time.Time // by the local monotonic clock, counted from before the request: never later than Redis's
}

// LeaseLeft returns how long the lease still runs by the local monotonic clock.
func (c *Claim) LeaseLeft() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.until)
}

// claimScript leases due holds. ARGV: how many, lease ms, token. Output: {{id, fields of the hash...}...}, or {"paused"}.
var claimScript = drain(`
if redis.call('EXISTS', P .. 'paused') == 1 then return {'paused'} end
local out = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:held', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  if get(id, 'state') ~= 'held' then
    redis.call('ZREM', P .. 'z:held', id)
  else
    if num(id, 'attempts') == 0 then set(id, 'late', int(now - num(id, 'due'))) end
    move(id, 'held', 'releasing', now + ARGV[2])
    set(id, 'tok', ARGV[3])
    redis.call('HINCRBY', P .. 'h:' .. id, 'attempts', 1)
    local fields = redis.call('HGETALL', P .. 'h:' .. id)
    table.insert(fields, 1, id)
    out[#out + 1] = fields
  end
end
return out
`)

const claimBatch = 100 // keeps one script short, whatever the caller asks for

// Claim leases up to max due holds, soonest due first. ErrPaused: not now, by somebody's order. Any other error says that nothing was claimed, and why that may be more
// than that nothing is due; a shard that is away does not keep the holds of the others back.
func (s *Store) Claim(ctx context.Context, max int) (claims []*Claim, err error) {
	if len(s.shards) == 1 {
		return s.claimAt(ctx, s.shards[0], max)
	}
	all, now, err := s.heads(ctx, heldSet)
	for _, h := range all {
		if len(claims) >= max || h.score > float64(now.UnixMilli()) {
			break
		}
		some, wrong := s.claimAt(ctx, h.at, max-len(claims))
		claims = append(claims, some...)
		if wrong != nil {
			err = wrong
		}
	}
	if len(claims) > 0 {
		return claims, nil
	}
	return nil, err
}

// claimAt leases due holds of a shard.
func (s *Store) claimAt(ctx context.Context, at keys, max int) ([]*Claim, error) {
	if node, err := s.node(ctx, at); err != nil || s.rests.of(node) != nil {
		return nil, cmp.Or(explain(err), s.rests.of(node))
	}
	token, until := randomText(16), time.Now().Add(s.lease)
	// Firmly: when a failover undid a claim, somebody could still recall what is being sent.
	cmd := s.firmly(ctx, at, claimScript, min(max, claimBatch), s.lease.Milliseconds(), token)
	rows, err := cmd.Slice()
	if errors.Is(err, errFewReplicas) {
		s.giveBackAll(ctx, at, cmd.Val(), token)
	}
	if err != nil {
		return nil, explain(err)
	}
	if len(rows) == 1 && rows[0] == "paused" {
		return nil, ErrPaused
	}
	var claims []*Claim
	var damaged error
	for _, row := range rows {
		id, fields := claimRow(row)
		h, err := s.parseHold(id, fields)
		if err != nil {
			damaged = err // its lease expires, and it is met again; the others go out
			continue
		}
		claims = append(claims, &Claim{Hold: *h, token: token, until: until})
	}
	if len(claims) == 0 {
		return nil, damaged
	}
	return claims, nil
}

func claimRow(row any) (id string, fields map[string]string) {
	fields = map[string]string{}
	texts, _ := row.([]any)
	for n := 1; n+1 < len(texts); n += 2 {
		fields[fmt.Sprint(texts[n])] = fmt.Sprint(texts[n+1])
	}
	if len(texts) > 0 {
		id = fmt.Sprint(texts[0])
	}
	return id, fields
}

// renewScript extends a lease. ARGV: id, token, lease ms. Output: "ok" or "lost".
var renewScript = drain(`
local id = ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
redis.call('ZADD', P .. 'z:releasing', int(now + ARGV[3]), id)
return 'ok'
`)

// Renew extends the lease; ErrLost when another daemon holds it.
func (s *Store) Renew(ctx context.Context, c *Claim) error {
	until := time.Now().Add(s.lease)
	err := s.firmWord(ctx, renewScript, c.ID, c.token, s.lease.Milliseconds())
	if err == nil {
		c.mu.Lock()
		c.until = until
		c.mu.Unlock()
	}
	return err
}

// giveBackScript undoes a claim. ARGV: id, token. Output: "ok" or "lost".
var giveBackScript = drain(`
local id = ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
hurry(num(id, 'due'))
move(id, 'releasing', 'held', num(id, 'due'))
redis.call('HDEL', P .. 'h:' .. id, 'tok')
redis.call('HINCRBY', P .. 'h:' .. id, 'attempts', -1)
return 'ok'
`)

// GiveBack returns a claim that was not attempted; its due moment and attempt count stay.
func (s *Store) GiveBack(ctx context.Context, c *Claim) error {
	return s.word(ctx, giveBackScript, c.ID, c.token)
}

// giveBackAll gives back what was just claimed, as far as it can; what is left goes back when the lease expires.
func (s *Store) giveBackAll(ctx context.Context, at keys, rows any, token string) {
	list, _ := rows.([]any)
	for _, row := range list {
		if id, _ := claimRow(row); id != "" {
			s.run(ctx, at, giveBackScript, id, token)
		}
	}
}

// Content streams the message as it would be sent: header, blank line, body. A missing piece is an error.
func (s *Store) Content(ctx context.Context, h *Hold) io.Reader {
	return &content{s: s, ctx: ctx, h: h}
}

// content reads one piece after the other.
type content struct {
	s    *Store
	ctx  context.Context
	h    *Hold
	next int
	rest []byte
	read int64
}

func (c *content) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.next >= c.h.chunks {
			if c.read != c.h.Size {
				return 0, fmt.Errorf("hold %s: its content has %d bytes instead of %d", c.h.ID, c.read, c.h.Size)
			}
			return 0, io.EOF
		}
		piece, body, err := c.s.piece(c.ctx, c.h, c.next)
		if err != nil {
			return 0, err
		}
		if c.next == 0 {
			piece = append(append(make([]byte, 0, len(piece)+2+len(body)), piece...), "\r\n"...)
			piece = append(piece, body...)
		}
		c.rest = piece
		c.next++
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	c.read += int64(n)
	return n, nil
}

// Header returns the header block of a hold, without reading the body of a large one.
func (s *Store) Header(ctx context.Context, h *Hold) ([]byte, error) {
	header, _, err := s.piece(ctx, h, 0)
	return header, err
}

func (s *Store) piece(ctx context.Context, h *Hold, n int) (piece, body []byte, err error) {
	b, err := s.redis.Get(ctx, s.of(h.ID).chunk(h.ID, h.staging, n)).Bytes()
	if err == redis.Nil {
		return nil, nil, fmt.Errorf("hold %s: piece %d of its content is not in the store: %w", h.ID, n, ErrNotFound)
	}
	if err != nil {
		return nil, nil, explain(err)
	}
	return s.open(h, n, b)
}

// open makes a piece of what is stored; that of a small message is its header block, and the body comes with it.
func (s *Store) open(h *Hold, n int, stored []byte) (piece, body []byte, err error) {
	piece, err = s.seal.unwrap(stored, place{h.ID, h.staging, n, n == h.chunks-1})
	if err == nil && stored[0]&whole != 0 {
		piece, body, err = split(piece)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("hold %s, piece %d: %w", h.ID, n, err)
	}
	return piece, body, nil
}

// LeasedFor is a claim without a store, whose lease runs for d: for tests of what works with claims.
func LeasedFor(d time.Duration) *Claim { return &Claim{until: time.Now().Add(d)} }

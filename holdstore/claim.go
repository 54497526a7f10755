package holdstore

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// NextDue returns how long until the next hold is due (0 or less: now); ok is false when none is held. With ErrPartial it
// tells of what the other servers have.
func (s *Store) NextDue(ctx context.Context) (wait time.Duration, ok bool, err error) {
	all, now, err := s.nodes.Heads(ctx, heldSet)
	if len(all) == 0 {
		return 0, false, err
	}
	return time.UnixMilli(int64(all[0].Score)).Sub(now), true, err
}

func heldSet(at nodes.Shard) string { return stateKey(at, Held) }

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
			s.nodes.Guard("the waiting for due mail, which begins anew", func() error { s.listen(ctx, n, bell); return nil })
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

// claiming is the part of scripts that leases due holds, soonest due first. It returns of each {id, piece 0 of its content while
// there is room for it, {fields of the hash...}}, and nil while releases are paused.
const claiming = `
local function claim(most, lease, token, room)
  if redis.call('EXISTS', P .. 'paused') == 1 then return nil end
  local rows, left, leased = {}, {}, {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:held', '-inf', int(now), 'LIMIT', 0, most)) do
    left[#left + 1] = id
    if get(id, 'state') == 'held' then
      leased[#leased + 1], leased[#leased + 2] = int(now + lease), id
      local fresh = {'state', 'releasing', 'tok', token, 'attempts', int(num(id, 'attempts') + 1)}
      if fresh[6] == '1' then fresh[7], fresh[8] = 'late', int(now - num(id, 'due')) end
      rows[#rows + 1] = {id, fresh}
    end
  end
  if #left > 0 then redis.call('ZREM', P .. 'z:held', unpack(left)) end
  if #rows > 0 then redis.call('ZADD', P .. 'z:releasing', unpack(leased)) end
  for n, row in ipairs(rows) do
    local id, first = row[1], ''
    set(id, unpack(row[2]))
    if room > 0 then
      local piece = redis.pcall('GET', P .. 'b:' .. id .. ':' .. (get(id, 'nonce') or '') .. ':0')
      first = type(piece) == 'string' and piece or ''
      room = room - #first
      if room < 0 then first = '' end
    end
    rows[n] = {id, first, redis.call('HGETALL', P .. 'h:' .. id)}
  end
  return rows
end
`

// claimScript claims. ARGV: how many, lease ms, token, bytes of content. Output: as claim has it, or {"paused"}.
var claimScript = drain(claiming + `
return claim(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])) or {'paused'}
`)

const (
	claimBatch   = 100     // keeps one script short, whatever the caller asks for
	claimContent = 1 << 20 // bytes of content that come with claims at once; what has no room is read by itself
)

// Claim leases up to max due holds, soonest due first. ErrPaused: not now, by somebody's order. Any other error says that nothing was claimed, and why that may be more
// than that nothing is due; a shard that is away does not keep the holds of the others back.
func (s *Store) Claim(ctx context.Context, max int) (claims []*Claim, err error) {
	if len(s.nodes.Shards) == 1 {
		return s.claimAt(ctx, s.nodes.Shards[0], max)
	}
	all, now, err := s.nodes.Heads(ctx, heldSet)
	for _, h := range all {
		if len(claims) >= max || h.Score > float64(now.UnixMilli()) {
			break
		}
		some, wrong := s.claimAt(ctx, h.At, max-len(claims))
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
func (s *Store) claimAt(ctx context.Context, at nodes.Shard, max int) ([]*Claim, error) {
	if err := s.nodes.Unresponsive(ctx, at); err != nil {
		return nil, err
	}
	token, until := holdid.Random(16), time.Now().Add(s.lease)
	// Firmly: when a failover undid a claim, somebody could still recall what is being sent.
	cmd := s.nodes.RunReplicated(ctx, at, claimScript, min(max, claimBatch), s.lease.Milliseconds(), token, claimContent)
	rows, err := cmd.Slice()
	if errors.Is(err, nodes.ErrFewReplicas) {
		s.giveBackAll(ctx, at, cmd.Val(), token)
	}
	if err != nil {
		return nil, nodes.Explain(err)
	}
	if len(rows) == 1 && rows[0] == "paused" {
		return nil, ErrPaused
	}
	return s.claimed(rows, token, until)
}

// claimed reads what claim returned in a script.
func (s *Store) claimed(rows []any, token string, until time.Time) (claims []*Claim, damaged error) {
	for _, row := range rows {
		id, first, fields := claimRow(row)
		err := s.nodes.Guard("the claim of hold "+id, func() error {
			h, err := s.parseHold(id, fields)
			if err != nil {
				return err
			}
			if h.doubt = s.permitted(h, fields); first != "" {
				h.first, _ = s.open(h, 0, []byte(first)) // what is wrong with it shows when it is read
			}
			claims = append(claims, &Claim{Hold: *h, token: token, until: until})
			return nil
		})
		if err != nil {
			damaged = err // its lease expires, and it is met again; the others go out
		}
	}
	if len(claims) > 0 {
		return claims, nil
	}
	return nil, damaged
}

func claimRow(row any) (id, first string, fields map[string]string) {
	fields = map[string]string{}
	parts, _ := row.([]any)
	if len(parts) != 3 {
		return "", "", fields
	}
	id, _ = parts[0].(string)
	first, _ = parts[1].(string)
	texts, _ := parts[2].([]any)
	for pair := range slices.Chunk(texts, 2) {
		name, _ := pair[0].(string)
		fields[name], _ = pair[len(pair)-1].(string)
	}
	return id, first, fields
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
func (s *Store) giveBackAll(ctx context.Context, at nodes.Shard, rows any, token string) {
	list, _ := rows.([]any)
	for _, row := range list {
		if id, _, _ := claimRow(row); id != "" {
			s.nodes.Run(ctx, at, giveBackScript, id, token)
		}
	}
}

// LeasedFor is a claim without a store, whose lease runs for d: for tests of what works with claims.
func LeasedFor(d time.Duration) *Claim { return &Claim{until: time.Now().Add(d)} }

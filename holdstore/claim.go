package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Claim is one due hold, leased to this daemon.
type Claim struct {
	Hold
	token string

	fields map[string]string // the hash as it was claimed; nil: it is not known

	mu    sync.Mutex
	until time.Time // by the local monotonic clock, counted from before the request: never later than Redis's
}

// LeaseLeft returns how long the lease still runs by the local monotonic clock.
func (c *Claim) LeaseLeft() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.until)
}

// claiming is the part of scripts that leases due holds.
var claiming = lua("claim")

// claimScript claims. ARGV: how many, lease ms, token, bytes of content. Output: as claim has it, or {"paused"}.
var claimScript = drain(claiming + `
return claim(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])) or {'paused'}
`)

const (
	claimBatch   = 100     // keeps one script short, whatever the caller asks for
	claimContent = 1 << 20 // bytes of content that come with claims at once; what has no room is read by itself
)

// Claim leases up to max due holds, soonest due first. ErrPaused: somebody has stopped the releases. Any other error
// means that nothing was claimed, although something might be due. A shard whose server is away does not delay the
// holds of others.
func (s *Store) Claim(ctx context.Context, max int) (claims []*Claim, err error) {
	if len(s.nodes.Shards) == 1 {
		return s.claimAt(ctx, s.nodes.Shards[0], max)
	}
	all, now, err := s.nodes.Heads(ctx, heldKey)
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
	// Durably: if a failover undid a claim, a sender could still recall what is being sent.
	cmd := s.nodes.RunDurable(ctx, at, claimScript, min(max, claimBatch), s.lease.Milliseconds(), token, claimContent)
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
	return s.claimed(ctx, at, rows, token, until)
}

// ownRows leaves out holds that somebody has copied into another shard than their ID tells, and takes them out of the
// queue there: a recall finds the original only, so that the copy would still be sent.
func (s *Store) ownRows(ctx context.Context, at nodes.Shard, rows []any) (own []any, stray error) {
	for _, row := range rows {
		id, _, _ := claimRow(row)
		if s.nodes.Of(id) == at {
			own = append(own, row)
			continue
		}
		stray = fmt.Errorf("%w: hold %s is not sent from %s, which is not its place in the store", ErrDamaged, id, at)
		s.nodes.Client.ZRem(ctx, stateKey(at, Releasing), id)
	}
	return own, stray
}

// claimed reads the rows that claim returned in a script of a shard.
func (s *Store) claimed(ctx context.Context, at nodes.Shard, rows []any, token string,
	until time.Time) (claims []*Claim, damaged error) {
	rows, damaged = s.ownRows(ctx, at, rows)
	for _, row := range rows {
		id, first, fields := claimRow(row)
		err := s.nodes.Guard("the claim of hold "+id, func() error {
			h, err := s.parseHold(id, fields)
			if err == nil {
				err = h.misread
			}
			if err != nil {
				return err
			}
			if h.doubt = s.permitted(h, fields); first != "" {
				h.first, _ = s.open(h, 0, []byte(first)) // what is wrong with it shows when it is read
			}
			c := NewClaim(*h, token, until)
			c.fields = fields
			claims = append(claims, c)
			return nil
		})
		if errors.Is(err, ErrDefect) {
			_ = s.Break(ctx, NewClaim(Hold{ID: id}, token, until), s.lease, err.Error())
		}
		if errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnproven) {
			s.parkDamaged(ctx, id, token, err)
			continue
		}
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
local is = redis.call('HMGET', P .. 'h:' .. id, 'state', 'tok') -- the rest may be large
if is[1] ~= 'releasing' or is[2] ~= ARGV[2] then return 'lost' end
redis.call('ZADD', P .. 'z:releasing', int(now + ARGV[3]), id)
return 'ok'
`)

// Renew extends the lease; ErrLost when another daemon holds it.
func (s *Store) Renew(ctx context.Context, c *Claim) error {
	until := time.Now().Add(s.lease)
	err := s.replicatedWord(ctx, renewScript, c.ID, c.token, s.lease.Milliseconds())
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
move(id, 'releasing', 'held', num(id, 'due'))
unset(id, 'tok')
set(id, 'state', 'held', 'attempts', int(math.max(num(id, 'attempts') - 1, 0)))
written()
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

// NewClaim is a claim of a hold whose lease, which token proves, runs until a moment by the local clock.
func NewClaim(h Hold, token string, until time.Time) *Claim {
	return &Claim{Hold: h, token: token, until: until}
}

// claimOneScript leases one hold, due or not, also while releases are paused.
// ARGV: id, lease ms, token, event, by, from, reason, detail. Output: "ok", "none", "late", or the state that forbids
// it.
var claimOneScript = drain(`
local id = ARGV[1]
local state = get(id, 'state')
if not state then return 'none' end
if state == 'recalled' then return state end
if state ~= 'held' then return 'late' end
move(id, 'held', 'releasing', now + ARGV[2])
set(id, 'state', 'releasing', 'tok', ARGV[3], 'attempts', int(num(id, 'attempts') + 1), 'tl', noted(id, ARGV[4]))
written()
audit(id, 'release', ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 'ok'
`)

// ClaimOne leases one hold to a person who sends it another way than the daemon does; detail says which. While the
// lease runs, no daemon sends it. It works whether the hold is due or not, and while releases are paused: nothing else
// would let a person empty the store without a daemon. ErrTooLate, ErrNotNow: it is recalled. ErrNotFound.
func (s *Store) ClaimOne(ctx context.Context, ref, detail string, a Actor) (*Claim, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, outcome("none", ref)
	}
	token, until := holdid.Random(16), time.Now().Add(s.lease)
	event := eventLine(Event{Verb: "release", By: a.By, Detail: detail})
	err := s.replicatedWord(ctx, claimOneScript, id, s.lease.Milliseconds(), token, event, a.By, a.From, a.Reason,
		detail)
	if err != nil {
		return nil, err
	}
	h, fields, err := s.get(ctx, id)
	if err == nil {
		err = h.misread
	}
	if err != nil {
		_ = s.word(context.WithoutCancel(ctx), giveBackScript, id, token)
		return nil, errors.Join(errors.New("it was given back"), err)
	}
	h.doubt = s.permitted(h, fields)
	return NewClaim(*h, token, until), nil
}

// breakScript ends a claim whose outcome a defect keeps from being settled.
// ARGV: id, token, retry ms, event, first line of the defect. Output: "ok" or "lost".
var breakScript = drain(parking + `
local id, key = ARGV[1], P .. 'h:' .. ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
local due = defect(key, ARGV[5]) or now + ARGV[3]
unset(id, 'tok')
set(id, 'state', 'held', 'due', int(due), 'tl', noted(id, ARGV[4]))
move(id, 'releasing', 'held', due)
written()
return 'ok'
`)

// Break gives back a claim that a defect of ours keeps from being attempted or settled; what is its first line. The
// hold is due again after a while, and after ParkAfter defects it is parked. ErrLost.
func (s *Store) Break(ctx context.Context, c *Claim, in time.Duration, what string) error {
	event := eventLine(Event{Verb: "retry", Detail: "a defect of the daemon: " + what})
	return s.word(ctx, breakScript, c.ID, c.token, max(in.Milliseconds(), 1), event, what)
}

package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	chunkSize = 256 << 10 // one 25 MB value would keep all other writers waiting
	inFlight  = 4         // pieces of one message on their way at a time: bounds memory, hides the round trip
	stagedFor = time.Hour // what is never committed goes away by itself
	fenceTime = 3 * time.Second
)

// Put is one message on its way into the store. Not for concurrent use.
type Put struct {
	s      *Store
	sub    Submission
	id     string
	at     keys // the shard of the ID
	nonce  string
	header []byte
	body   []byte // gathered, not yet sent
	size   int64
	sum    hash.Hash
	chunks int  // pieces sent or being sent, the header's among them
	sent   bool // the commit left: from here on the pieces may be a hold's

	slots  chan struct{}
	work   sync.WaitGroup
	mu     sync.Mutex
	failed error // the first error of a piece
}

// Put begins a hold. header is the whole header block, every field ended by CRLF, without the blank line.
// Nothing is sent before enough is gathered.
func (s *Store) Put(sub Submission, header []byte) *Put {
	p := &Put{
		s: s, sub: sub, nonce: randomText(8), header: header,
		size: int64(len(header)) + 2, sum: sha256.New(), chunks: 1, slots: make(chan struct{}, inFlight),
	}
	// The length keeps the envelope apart from the content; the queue ID and the client's port differ on a retry.
	envelope := armour(sub)
	b, _ := json.Marshal([]any{envelope.Sender, envelope.Recipients, envelope.Login})
	p.id = s.idNear(string(b))
	p.at = s.of(p.id)
	fmt.Fprintf(p.sum, "%d:%s%d:", len(b), b, len(header))
	p.sum.Write(header)
	return p
}

// Write adds bytes of the body; it may block while pieces travel, and returns the first error of a piece.
func (p *Put) Write(ctx context.Context, b []byte) error {
	p.sum.Write(b)
	p.size += int64(len(b))
	for len(b) > 0 {
		n := min(len(b), chunkSize-len(p.body))
		p.body = append(p.body, b[:n]...)
		b = b[n:]
		// A full piece waits for the next byte: a body of just one piece still goes with the commit.
		if len(p.body) == chunkSize && len(b) > 0 {
			if err := p.stage(ctx); err != nil {
				return err
			}
		}
	}
	return p.err()
}

// stage sends the gathered piece in the background, and waits while too many are on their way.
func (p *Put) stage(ctx context.Context) error {
	if p.chunks == 1 {
		if err := p.s.ready(ctx, p.at); err != nil {
			return err
		}
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return explain(ctx.Err())
	}
	n, piece := p.chunks, p.body
	p.body, p.chunks = nil, p.chunks+1
	p.work.Go(func() {
		defer func() { <-p.slots }()
		if err := p.s.redis.Set(ctx, p.at.chunk(p.id, p.nonce, n), p.s.seal.wrap(piece, p.place(n, false)), stagedFor).Err(); err != nil {
			p.fail(explain(err))
		}
	})
	return p.err()
}

func (p *Put) place(n int, last bool) place { return place{p.id, p.nonce, n, last} }

func (p *Put) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

func (p *Put) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// Size returns the bytes taken so far: header, blank line, body.
func (p *Put) Size() int64 { return p.size }

// Receipt is the answer to a commit.
type Receipt struct {
	ID     string
	Found  bool // an unconfirmed hold of the same envelope and content was there already; nothing new was made
	HeldAt time.Time
	Due    time.Time
}

// commitScript makes a hold of what was staged. It may not run in a full store.
// ARGV: id, nonce, chunks, fingerprint, meta, rule, grace ms, size, recipients, unconfirmed ms, event, the five of
// replacing, index entries.
// Output: {"ok"|"found", id, held_at, due}, or {"fenced"}, {"taken"}, {"missing", n} and nothing was done.
var commitScript = script(replacing + `
local id, nonce, chunks, fp, grace = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[7])
if redis.call('EXISTS', P .. 'x:' .. id) == 1 then return {'fenced'} end
local first = redis.call('GET', P .. 'u:' .. fp)
if first and redis.call('EXISTS', P .. 'h:' .. first) == 1 then
  -- Somebody relies on the first one from now on: its own fence may no longer delete it.
  set(first, 'relied', 1)
  return {'found', first, get(first, 'held_at'), get(first, 'due')}
end
if redis.call('EXISTS', P .. 'h:' .. id) == 1 then return {'taken'} end
local b = P .. 'b:' .. id .. ':' .. nonce .. ':'
for n = 0, chunks - 1 do
  if redis.call('EXISTS', b .. n) == 0 then return {'missing', tostring(n)} end
end
for n = 0, chunks - 1 do redis.call('PERSIST', b .. n) end
local due = now + grace
for e in string.gmatch(ARGV[17], '%S+') do redis.call('ZADD', P .. 'i:' .. e, int(now), id) end
set(id, 'meta', ARGV[5], 'rule', ARGV[6], 'grace', ARGV[7], 'size', ARGV[8], 'nrcpt', ARGV[9], 'np', ARGV[9],
  'nonce', nonce, 'chunks', chunks, 'fp', fp, 'held_at', int(now), 'due', int(due), 'attempts', 0, 'state', 'held', 'ix', ARGV[17],
  'tl', int(now) .. ' ' .. ARGV[11] .. '\n')
redis.call('ZADD', P .. 'z:age', int(now), id)
redis.call('INCRBY', P .. 'bytes', ARGV[8])
hurry(due)
redis.call('ZADD', P .. 'z:held', int(due), id)
redis.call('SET', P .. 'u:' .. fp, id, 'PX', ARGV[10])
replace(id)
return {'ok', id, int(now), int(due)}
`)

// Commit makes the hold durable, or says why it is not: after any error but ErrUnavailable-with-failed-fence
// the message is certainly not held by this Put.
func (p *Put) Commit(ctx context.Context, t Terms) (Receipt, error) {
	p.work.Wait()
	if err := p.err(); err != nil {
		return Receipt{}, err
	}
	if err := p.s.ready(ctx, p.at); err != nil {
		return Receipt{}, err
	}
	if err := p.s.admit(ctx, p.at); err != nil {
		return Receipt{}, err
	}
	p.sent = true
	reply, err := p.send(ctx, t)
	if err == nil {
		r, wrong := p.receipt(reply)
		if wrong != nil {
			return r, wrong
		}
		if err = p.replaceElsewhere(ctx, t); err == nil {
			return r, nil
		}
		return p.fence(err)
	}
	if answered(err) || unsent(err) {
		return Receipt{}, explain(err)
	}
	return p.fence(err)
}

// send sends the last pieces and the commit in one go: one round trip, and one fsync, for a small message.
func (p *Put) send(ctx context.Context, t Terms) ([]string, error) {
	small := p.chunks == 1 && len(p.header)+len(p.body) <= chunkSize
	if len(p.body) > 0 && !small {
		p.chunks++
	}
	var header, body []byte
	switch {
	case small:
		header = p.s.seal.wrapWhole(p.header, p.body, p.place(0, true))
	default:
		header = p.s.seal.wrap(p.header, p.place(0, p.chunks == 1))
		if len(p.body) > 0 {
			body = p.s.seal.wrap(p.body, p.place(p.chunks-1, true))
		}
	}
	args := p.arguments(t)
	return p.s.firmly(ctx, p.at, commitScript, func(pipe redis.Pipeliner) {
		pipe.Set(ctx, p.at.chunk(p.id, p.nonce, 0), header, stagedFor)
		if body != nil {
			pipe.Set(ctx, p.at.chunk(p.id, p.nonce, p.chunks-1), body, stagedFor)
		}
	}, args...).StringSlice()
}

// arguments lists ARGV of the commit script.
func (p *Put) arguments(t Terms) []any {
	sub := p.sub
	sub.Subject = p.s.seal.wrapSubject(sub.Subject, p.id)
	meta, _ := json.Marshal(armour(sub))
	args := []any{p.id, p.nonce, p.chunks, hex.EncodeToString(p.s.seal.fingerprint(p.sum.Sum(nil))), meta, t.Rule, t.Grace.Milliseconds(),
		p.size, len(p.sub.Recipients), unconfirmedFor.Milliseconds(), eventLine(Event{Verb: "held", Detail: t.Rule})}
	args = append(args, p.replacingArgs(t)...)
	return append(args, p.s.indexEntries(&p.sub))
}

func (p *Put) receipt(reply []string) (Receipt, error) {
	switch {
	case len(reply) == 4:
		found := reply[0] == "found" && reply[1] != p.id
		if found {
			p.drop()
		}
		return Receipt{ID: reply[1], Found: found, HeldAt: moment(reply[2]), Due: moment(reply[3])}, nil
	case len(reply) > 0 && reply[0] == "fenced":
		return Receipt{}, ErrUnknown
	}
	return Receipt{}, fmt.Errorf("%w: redis could not make a hold of the staged pieces: %q", ErrUnavailable, reply)
}

// fenceScript makes sure that a commit of this ID has not happened and never will, unless somebody relies on it.
// ARGV: id, tombstone ms. Output: {"fenced"}, or {"ok", id, held_at, due}: it is committed and has to stay.
var fenceScript = drain(unreplacing + `
local id, state = ARGV[1], get(ARGV[1], 'state')
if state and (state ~= 'held' or num(id, 'attempts') > 0 or get(id, 'relied')) then
  return {'ok', id, get(id, 'held_at'), get(id, 'due')}
end
if state then unreplace(id); forget(id) end
redis.call('SET', P .. 'x:' .. id, 1, 'PX', ARGV[2])
return {'fenced'}
`)

// fence settles a commit whose reply never came, or that too few replicas have, by a short time of its own: the
// caller's may be over. It goes to the primary of this moment. What an earlier primary did of the commit is there if it
// was replicated, and else lost with that primary; a commit that reaches the old one late is lost with it as well.
// When a hold has to stay and replicas count, the caller's retry finds it, and waits for them.
func (p *Put) fence(cause error) (Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	reply, err := p.s.run(ctx, p.at, fenceScript, p.id, time.Hour.Milliseconds()).StringSlice()
	switch {
	case err != nil:
		return Receipt{}, fmt.Errorf("%w: %s may be held, a retry will find it: %w (then %w)", ErrUnavailable, p.id, cause, err)
	case len(reply) == 4 && p.s.opt.Replicas == 0:
		return p.receipt(reply)
	case len(reply) == 4:
		return Receipt{}, fmt.Errorf("%w: %s is held, a retry will find it: %w", ErrUnavailable, p.id, cause)
	case errors.Is(cause, errFewReplicas):
		return Receipt{}, explain(cause)
	}
	return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, cause)
}

// Abandon drops what was staged, best effort (it also expires by itself). After a commit was sent it does nothing:
// the pieces may be a hold's.
func (p *Put) Abandon() {
	p.work.Wait()
	if !p.sent {
		p.drop()
	}
}

func (p *Put) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	names := []string{}
	for n := range p.chunks {
		names = append(names, p.at.chunk(p.id, p.nonce, n))
	}
	p.s.redis.Unlink(ctx, names...)
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Commit makes the hold durable, or says why it is not. After any error but ErrMaybeHeld this Put certainly holds
// nothing: a commit whose outcome is unknown is fenced off first, so that it can't come true later. A hold that
// somebody relies on already stays, and Commit returns it. After ErrMaybeHeld the same message finds the hold, if
// there is one, for unconfirmedFor; after that it is held as another one.
func (p *Put) Commit(ctx context.Context, t Terms) (Committed, error) {
	defer p.s.staging.end(p)
	p.work.Wait()
	if err := p.err(); err != nil {
		return Committed{}, err
	}
	was, err := p.s.nodes.ReadyNow(ctx, p.at)
	if err != nil {
		return Committed{}, err
	}
	whole := p.chunks == 1 && len(p.header)+len(p.body) <= wholeMost
	if !whole {
		if err := p.stageRest(ctx); err != nil {
			return Committed{}, err
		}
	}
	p.wide = p.wide || !ascii(p.body)
	p.replaces = t.Replaces
	if err := p.noteTickets(ctx); err != nil {
		return Committed{}, err
	}
	p.sent, p.print = true, p.fingerprint(whole)
	c, err := p.send(ctx, t, whole)
	for tries := 1; err == nil && whole && c.row == "taken" && tries < idTries; tries++ {
		p.name()
		c, err = p.send(ctx, t, whole)
	}
	if err == nil {
		r, wrong := p.receipt(c, t)
		if wrong != nil {
			return r, wrong
		}
		if err = p.s.nodes.StillReady(ctx, p.at, was); err == nil {
			err = p.replaceElsewhere(ctx, t)
		}
		if err == nil {
			return r, nil
		}
		return p.fence(err)
	}
	if nodes.Refused(err) || nodes.Unsent(err) {
		p.drop()
		return Committed{}, nodes.Explain(err)
	}
	return p.fence(err)
}

// Messages that end at the same moment are committed together, in one script: Redis syncs once for all of them.
const (
	batchMost  = 32              // holds of one batch: others wait a millisecond for it
	batchBytes = 1 << 20         // in one batch: it ends with the message that passes this
	entryBytes = 256             // what an index entry counts as: a message may have thousands
	batchGoes  = 2               // of a shard on its way, the second one only when it is full
	batchTime  = nodes.IOTimeout // for the reply
)

// sendBatch commits a batch, and fills in each commit's answer.
func (s *Store) sendBatch(at nodes.Shard, batch []*commit, confirmed []confirmation) error {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	args := []any{unconfirmedFor.Milliseconds(), s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}
	args = append(append(args, s.quota(at)...), confirmArgs(confirmed)...)
	var contents []nodes.Value
	for _, c := range batch {
		args = append(args, c.args...)
		if c.content != nil {
			contents = append(contents, nodes.Value{Key: c.piece, Text: c.content, For: stagedFor})
		}
	}
	rows, err := s.nodes.RunDurableWith(ctx, at, contents, commitScript, args...).Slice()
	if err != nil {
		return err
	}
	if len(rows) != len(batch)+1 {
		return fmt.Errorf("redis answered %d times for %d holds", len(rows), len(batch))
	}
	now, _ := rows[0].(int64)
	for n, c := range batch {
		c.row, c.held = rows[n+1], time.UnixMilli(now).UTC()
	}
	return nil
}

var commitScript = script(confirming + replacing + lua("commit"))

// send commits the hold; the commit has what the script says of it.
func (p *Put) send(ctx context.Context, t Terms, whole bool) (*commit, error) {
	p.elsewhere = p.s.elsewhere(ctx, p.at, ownerOf(&p.sub, t))
	c := p.commit(t, whole)
	return c, p.s.roomFor(ctx, p.at, func() error { return p.s.commit(ctx, p.at, c) })
}

// commit is one hold on its way into a batch.
type commit struct {
	args    []any  // of the script
	piece   string // key of its first piece; content is written there if it is not staged
	content []byte // of that
	size    int    // bytes that it adds to a batch, about

	row  any       // the script's answer
	held time.Time // when its batch was committed
}

// commit is the hold as it goes into a batch: with its content, or with all of it staged.
func (p *Put) commit(t Terms, whole bool) *commit {
	sub := p.sub
	sub.Subject = p.s.seal.WrapSubject(sub.Subject, p.id)
	t.Grace = max(t.Grace, 0)
	entries := p.s.indexEntries(&p.sub)
	terms := storedTerms{armour(sub), t.Rule, t.Fixed, p.wide}
	record := p.s.seal.Signed(p.id, firstRecord(t.Grace, p.size, p.nonce, p.chunks, entries, terms))
	staged, content, stored := p.chunks, []byte(nil), p.staged
	if whole {
		content = p.s.seal.WrapWhole(p.header, p.body, p.place(0, true))
		staged, stored = 0, int64(len(content))
	}
	return &commit{
		piece: pieceKey(p.at, p.id, p.nonce, 0), content: content, size: len(content) + entryBytes*len(entries),
		args: []any{
			p.id, p.nonce, t.Grace.Milliseconds(), record, p.print, p.size, staged, p.replacing(t),
			strings.Join(entries, " "), ownerOf(&p.sub, t), stored, recordCost + len(record) + entryCost*len(entries),
			p.elsewhere, holdid.Number(p.id),
		},
	}
}

// receipt says what the script's answer means.
func (p *Put) receipt(c *commit, t Terms) (Committed, error) {
	switch row := c.row.(type) {
	case int64:
		due := c.held.Add(max(t.Grace, 0).Truncate(time.Millisecond))
		return Committed{ID: p.id, HeldAt: c.held, Due: due, print: p.print}, nil
	case []any:
		if len(row) == 3 {
			return p.known(fmt.Sprint(row[0]), fmt.Sprint(row[1]), fmt.Sprint(row[2])), nil
		}
	case string:
		switch row {
		case "fenced":
			return Committed{}, ErrUnknown
		case "quota":
			p.drop()
			return Committed{}, ErrQuota
		}
	}
	return Committed{}, fmt.Errorf("%w: redis made no hold, a piece of its content is missing: %q", ErrUnavailable, c.row)
}

// known is the receipt of a hold that existed before.
func (p *Put) known(id, heldAt, due string) Committed {
	found := id != p.id
	if found {
		p.drop()
	}
	return Committed{ID: id, Found: found, HeldAt: moment(heldAt), Due: moment(due), print: p.print}
}

// newCommits makes the batcher of a shard.
func (s *Store) newCommits(at nodes.Shard) *batcher[*commit] {
	full := func(batch []*commit) bool {
		bytes := 0
		for _, c := range batch {
			bytes += c.size
		}
		return bytes >= batchBytes
	}
	return &batcher[*commit]{most: batchMost, goes: batchGoes, full: full, send: func(batch []*commit) error {
		return s.nodes.Guard("the storing of a batch of messages", func() error { return s.commitAll(at, batch) })
	}}
}

// commit sends a hold with the next batch of its shard, and fills in the script's answer for it.
func (s *Store) commit(ctx context.Context, at nodes.Shard, c *commit) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", nodes.ErrNotSent, err)
	}
	if err := s.commits[at].do(ctx, &s.work, c); err != nil {
		if s.commits[at].leave(c) {
			return fmt.Errorf("%w: %w", nodes.ErrNotSent, err)
		}
		return err
	}
	return nil
}

// commitAll commits a batch. Confirmations that wait are sent in the same script.
func (s *Store) commitAll(at nodes.Shard, batch []*commit) (err error) {
	confirmed, fresh := s.confirmed.take(at, confirmBatch)
	err = ErrDefect // after a panic the confirmations wait again
	defer func() { s.confirmed.back(at, fresh, err) }()
	err = s.sendBatch(at, batch, confirmed)
	return err
}

// fenceScript makes sure that a commit of this ID has not happened and never will, unless somebody relies on the hold:
// a client whose retry found it, a daemon that sends it, or a person who acted on it, which its timeline shows. A hold
// with another nonce belongs to another message. ARGV: id, tombstone ms, nonce, tickets of what it replaced. Output:
// {"fenced"}, or {"ok", id, held_at, due}: it is committed and has to stay.
var fenceScript = drain(replacing + `
local id, state = ARGV[1], get(ARGV[1], 'state')
if get(id, 'nonce') ~= ARGV[3] then state = nil end
if state and (state ~= 'held' or num(id, 'attempts') > 0 or get(id, 'relied') or get(id, 'tl')) then
  return {'ok', id, get(id, 'held_at'), get(id, 'due')}
end
if state then unreplace(id, ARGV[4]); forgetHold(id) else drop(P .. 'b:' .. id .. ':' .. ARGV[3] .. ':0') end
redis.call('SET', P .. 'x:' .. id, 1, 'PX', ARGV[2])
return {'fenced'}
`)

// fence finds out what became of a commit whose reply never came, that is not proven to be on the disk, or that too
// few replicas have. It has a short time of its own, because the caller's may be over. It asks the server that is the
// primary now: what an earlier primary did of the commit was replicated, or is lost with that primary, as is a commit
// that reaches it late. When a hold has to stay and replicas count, the caller's retry finds it and waits for them.
func (p *Put) fence(cause error) (Committed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	var reply []string
	mays, _, err := p.s.mays(ctx, slices.Collect(maps.Keys(p.tickets)), p.takenBefore) // the others stay taken back
	if err == nil {
		reply, err = p.s.nodes.Run(ctx, p.at, fenceScript, p.id, time.Hour.Milliseconds(), p.nonce, mays).StringSlice()
	}
	switch {
	case err != nil:
		return Committed{}, fmt.Errorf("%w: %s: %w, a retry will find it: %w (then %w)", ErrUnavailable, p.id,
			ErrMaybeHeld, cause, err)
	case len(reply) == 4 && p.s.opt.Replicas == 0:
		return p.known(reply[1], reply[2], reply[3]), nil
	case len(reply) == 4:
		return Committed{}, fmt.Errorf("%w: %s: %w, a retry will find it: %w", ErrUnavailable, p.id, ErrMaybeHeld, cause)
	case errors.Is(cause, nodes.ErrFewReplicas):
		return Committed{}, nodes.Explain(cause)
	case errors.Is(cause, ErrNotDurable):
		return Committed{}, cause
	}
	return Committed{}, fmt.Errorf("%w: %w", ErrUnknown, cause)
}

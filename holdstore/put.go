package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

const (
	chunkSize = 256 << 10 // one 25 MB value would keep all other writers waiting
	wholeMost = 64 << 10  // a message up to this size goes with its commit, in one piece
	inFlight  = 1         // pieces of one message on their way at a time: with more of them a large message keeps small ones waiting
	idTries   = 3         // another gateway may have made the same ID in the same millisecond
	stagedFor = time.Hour // what is never committed goes away by itself
	fenceTime = 3 * time.Second

	printLength = 32 // hex digits of a fingerprint that are kept
)

// Put is one message on its way into the store. Not for concurrent use.
type Put struct {
	s        *Store
	sub      Submission
	near     string // the envelope: it says which shard
	id       string
	at       nodes.Shard // the shard of the ID
	nonce    string
	header   []byte
	body     []byte // gathered, not yet sent
	size     int64
	wide     bool // header or body has a byte above 127
	sum      hash.Hash
	digest   BodyDigest
	replaces []string // IDs of holds that its commit takes back
	print    string   // the fingerprint of envelope and content, once all is known
	chunks   int      // pieces sent or being sent, the header's among them
	sent     bool     // the commit left: from here on the pieces may be a hold's

	slots   chan struct{}
	work    sync.WaitGroup
	mu      sync.Mutex
	failed  error // the first error of a piece
	staged  int64 // bytes of the pieces, as they are stored
	charged int64 // of them, to the owner, until the end
}

// Put begins a hold. header is the whole header block, every field ended by CRLF, without the blank line.
// Nothing is sent before enough is gathered.
func (s *Store) Put(sub Submission, header []byte) *Put {
	p := &Put{
		s: s, sub: sub, nonce: holdid.Random(8), header: header,
		size: int64(len(header)) + 2, sum: sha256.New(), chunks: 1, slots: make(chan struct{}, inFlight),
	}
	// The length keeps the envelope apart from the content; the queue ID and the client's port differ on a retry.
	p.wide = !ascii(header)
	envelope := armour(sub)
	b, _ := json.Marshal([]any{envelope.Sender, envelope.Recipients, envelope.Login})
	p.near = string(b)
	p.name()
	fmt.Fprintf(p.sum, "%d:%s%d:", len(b), b, len(header))
	p.sum.Write(header)
	return p
}

// idNear makes an ID that belongs to the shard of a name: a message that is submitted again must meet its first hold.
func (s *Store) idNear(name string) string {
	now := time.Now()
	for {
		if id := holdid.New(now); s.nodes.Number(id) == s.nodes.Number(name) {
			return id
		}
	}
}

// name gives the hold an ID.
func (p *Put) name() {
	p.id = p.s.idNear(p.near)
	p.at = p.s.nodes.Of(p.id)
}

// Write adds bytes of the body; it may block while pieces travel, and returns the first error of a piece.
func (p *Put) Write(ctx context.Context, b []byte) error {
	p.sum.Write(b)
	p.digest.Write(b)
	p.size += int64(len(b))
	p.wide = p.wide || !ascii(b)
	for len(b) > 0 {
		n := min(len(b), chunkSize-len(p.body))
		p.body = append(p.body, b[:n]...)
		b = b[n:]
		// A full piece waits for the next byte: the last one must say that it is the last.
		if len(p.body) == chunkSize && len(b) > 0 {
			if err := p.stage(ctx); err != nil {
				return err
			}
		}
	}
	return p.err()
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// stage sends the gathered piece in the background, and waits while too many are on their way.
func (p *Put) stage(ctx context.Context) error {
	if p.chunks == 1 {
		if err := p.s.nodes.ReadyAt(ctx, p.at); err != nil {
			return err
		}
	}
	n, piece := p.chunks, p.body
	p.body, p.chunks = nil, p.chunks+1
	return p.sendPiece(ctx, n, func() []byte { return p.s.seal.Wrap(piece, p.place(n, false)) })
}

// sendPiece stores piece n as wrap makes it.
func (p *Put) sendPiece(ctx context.Context, n int, wrap func() []byte) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nodes.Explain(ctx.Err())
	}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		if err := p.s.nodes.Guard("the storing of a piece of hold "+p.id, func() error { return p.storePiece(ctx, n, wrap()) }); err != nil {
			p.fail(err)
		}
	})
	return p.err()
}

func (p *Put) storePiece(ctx context.Context, n int, stored []byte) error {
	if err := p.charge(ctx, int64(len(stored))); err != nil {
		return err
	}
	return p.s.roomFor(ctx, p.at, func() error {
		return nodes.Explain(p.s.nodes.Client.Set(ctx, chunkKey(p.at, p.id, p.nonce, n), stored, stagedFor).Err())
	})
}

// stageRest sends what of a large message is still here: its last piece, and its header block.
func (p *Put) stageRest(ctx context.Context) error {
	if len(p.body) > 0 {
		n, piece := p.chunks, p.body
		p.body, p.chunks = nil, p.chunks+1
		if err := p.sendPiece(ctx, n, func() []byte { return p.s.seal.Wrap(piece, p.place(n, true)) }); err != nil {
			return err
		}
	}
	digest, only := p.digest.Sum(), p.chunks == 1
	first := func() []byte { return p.s.seal.WrapHeader(p.header, digest, p.place(0, only)) }
	if err := p.sendPiece(ctx, 0, first); err != nil {
		return err
	}
	p.work.Wait()
	return p.err()
}

func (p *Put) place(n int, last bool) seal.Place {
	return seal.Place{ID: p.id, Staging: p.nonce, N: n, Last: last}
}

// charge counts bytes that are staged, for the message's owner as well.
func (p *Put) charge(ctx context.Context, n int64) error {
	p.mu.Lock()
	p.staged += n
	p.charged += n
	p.mu.Unlock()
	return p.s.staging.add(ctx, p, n)
}

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

	print string // of envelope and content
}

// Commit makes the hold durable, or says why it is not: after any error but ErrUnavailable-with-failed-fence
// the message is certainly not held by this Put.
func (p *Put) Commit(ctx context.Context, t Terms) (Receipt, error) {
	defer p.s.staging.end(p)
	p.work.Wait()
	if err := p.err(); err != nil {
		return Receipt{}, err
	}
	was, err := p.s.nodes.ReadyNow(ctx, p.at)
	if err != nil {
		return Receipt{}, err
	}
	if err := p.s.nodes.Admit(ctx, p.at); err != nil {
		return Receipt{}, err
	}
	whole := p.chunks == 1 && len(p.header)+len(p.body) <= wholeMost
	if !whole {
		if err := p.stageRest(ctx); err != nil {
			return Receipt{}, err
		}
	}
	p.replaces = t.Replaces
	p.sent, p.print = true, hex.EncodeToString(p.s.seal.Fingerprint(p.sum.Sum(nil)))[:printLength]
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
		return Receipt{}, nodes.Explain(err)
	}
	return p.fence(err)
}

// send commits the hold; the commit has what the commit script says of it.
func (p *Put) send(ctx context.Context, t Terms, whole bool) (*commit, error) {
	c := p.commit(t, whole)
	return c, p.s.roomFor(ctx, p.at, func() error { return p.s.commit(ctx, p.at, c) })
}

// roomFor does what puts something into the store, and when the store is full, does it again once something gave way.
func (s *Store) roomFor(ctx context.Context, at nodes.Shard, put func() error) error {
	err := put()
	if err != nil && errors.Is(nodes.Explain(err), ErrFull) && s.makeRoom(ctx, at) {
		err = put()
	}
	return err
}

// commit is the hold as it goes into a batch: with its content, or with all of it staged.
func (p *Put) commit(t Terms, whole bool) *commit {
	sub := p.sub
	sub.Subject = p.s.seal.WrapSubject(sub.Subject, p.id)
	t.Grace = max(t.Grace, 0)
	c := &commit{id: p.id, nonce: p.nonce, grace: t.Grace, entries: p.s.indexEntries(&p.sub)}
	c.record = firstRecord(t.Grace, p.size, p.nonce, p.chunks, c.entries, storedTerms{armour(sub), t.Rule, p.wide})
	staged := p.chunks
	if whole {
		staged = 0
		c.piece, c.content = chunkKey(p.at, p.id, p.nonce, 0), p.s.seal.WrapWhole(p.header, p.body, p.place(0, true))
	}
	content := p.staged
	if whole {
		content = int64(len(c.content))
	}
	c.args = []any{p.print, p.size, staged, p.replacing(t), strings.Join(c.entries, " "),
		ownerOf(&p.sub, t), content, recordCost + len(c.record) + entryCost*len(c.entries)}
	return c
}

func (p *Put) receipt(c *commit, t Terms) (Receipt, error) {
	switch row := c.row.(type) {
	case int64:
		return Receipt{ID: p.id, HeldAt: c.held, Due: c.held.Add(t.Grace.Truncate(time.Millisecond)), print: p.print}, nil
	case []any:
		if len(row) == 3 {
			return p.known(fmt.Sprint(row[0]), fmt.Sprint(row[1]), fmt.Sprint(row[2])), nil
		}
	case string:
		switch row {
		case "fenced":
			return Receipt{}, ErrUnknown
		case "quota":
			p.drop()
			return Receipt{}, ErrQuota
		}
	}
	return Receipt{}, fmt.Errorf("%w: redis could not make a hold of the staged pieces: %q", ErrUnavailable, c.row)
}

// known is the receipt of a hold that was there before.
func (p *Put) known(id, heldAt, due string) Receipt {
	found := id != p.id
	if found {
		p.drop()
	}
	return Receipt{ID: id, Found: found, HeldAt: moment(heldAt), Due: moment(due), print: p.print}
}

// fenceScript makes sure that a commit of this ID has not happened and never will, unless somebody relies on it: who retried it,
// who is sending it, or who did something to it, of which its timeline tells. A hold of another nonce is somebody else's.
// ARGV: id, tombstone ms, nonce, tickets of what it replaced. Output: {"fenced"}, or {"ok", id, held_at, due}: it is committed and has to stay.
var fenceScript = drain(unreplacing + `
local id, state = ARGV[1], get(ARGV[1], 'state')
if get(id, 'nonce') ~= ARGV[3] then state = nil end
if state and (state ~= 'held' or num(id, 'attempts') > 0 or get(id, 'relied') or get(id, 'tl')) then
  return {'ok', id, get(id, 'held_at'), get(id, 'due')}
end
if state then unreplace(id, ARGV[4]); forget(id) else drop(P .. 'b:' .. id .. ':' .. ARGV[3] .. ':0') end
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
	var reply []string
	mays, err := p.s.mays(ctx, p.replaced(p.replaces), takenBefore)
	if err == nil {
		reply, err = p.s.nodes.Run(ctx, p.at, fenceScript, p.id, time.Hour.Milliseconds(), p.nonce, mays).StringSlice()
	}
	switch {
	case err != nil:
		return Receipt{}, fmt.Errorf("%w: %s: %w, a retry will find it: %w (then %w)", ErrUnavailable, p.id, ErrMaybeHeld, cause, err)
	case len(reply) == 4 && p.s.opt.Replicas == 0:
		return p.known(reply[1], reply[2], reply[3]), nil
	case len(reply) == 4:
		return Receipt{}, fmt.Errorf("%w: %s: %w, a retry will find it: %w", ErrUnavailable, p.id, ErrMaybeHeld, cause)
	case errors.Is(cause, nodes.ErrFewReplicas):
		return Receipt{}, nodes.Explain(cause)
	case errors.Is(cause, ErrNotDurable):
		return Receipt{}, cause
	}
	return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, cause)
}

// Abandon drops what was staged, best effort (it also expires by itself). After a commit was sent it does nothing:
// the pieces may be a hold's.
func (p *Put) Abandon() {
	p.work.Wait()
	p.s.staging.end(p)
	if !p.sent {
		p.drop()
	}
}

func (p *Put) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTime)
	defer cancel()
	names := []string{}
	for n := range p.chunks {
		names = append(names, chunkKey(p.at, p.id, p.nonce, n))
	}
	p.s.nodes.Client.Unlink(ctx, names...)
}

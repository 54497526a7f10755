package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
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
	// pieces of one message on their way at a time: with more of them a large message keeps small ones waiting
	inFlight  = 1
	idTries   = 3         // another gateway may have made the same ID in the same millisecond
	stagedFor = time.Hour // what is never committed goes away by itself

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
	digest   BodyDigest       // of the body that was sent in pieces
	check    uint32           // CRC-32C of the same: the digest says nothing about white space
	replaces []string         // IDs of holds that its commit takes back
	tickets  map[string][]int // of them that had a ticket, sealed, whom it was not for
	print    string           // the fingerprint of envelope and content, once all is known
	chunks   int              // pieces sent or being sent, the header's among them
	sent     bool             // the commit left: from here on the pieces may be a hold's

	elsewhere string // what its owner has in other shards of the server, as Store.elsewhere says it

	slots   chan struct{}
	work    sync.WaitGroup
	mu      sync.Mutex
	failed  error // the first error of a piece
	staged  int64 // bytes of the pieces, as they are stored
	charged int64 // of them, to the owner, until the end
}

// Memory for pieces of large messages, as they are gathered and as they are stored. A piece whose way is cut short is
// not given back: somebody may still read it.
var pieceRooms = sync.Pool{New: func() any { return new([roomSize]byte) }}

const roomSize = chunkSize + 4<<10 // more than compressing and sealing add

func pieceRoom() []byte { return pieceRooms.Get().(*[roomSize]byte)[:0] }

// giveBack takes what came from pieceRoom, and nothing else.
func giveBack(b []byte) {
	if cap(b) == roomSize {
		spoil(b[:roomSize])
		pieceRooms.Put((*[roomSize]byte)(b[:roomSize]))
	}
}

// spoil gets memory that is given back. Tests overwrite it, so that what still uses it shows.
var spoil = func([]byte) {}

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
	b, _ := json.Marshal([]any{envelope.Sender, envelope.Recipients, submitterOf(&envelope)})
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
	p.size += int64(len(b))
	for len(b) > 0 {
		n := min(len(b), chunkSize-len(p.body))
		if len(p.body)+n > max(cap(p.body), wholeMost) {
			p.body = append(pieceRoom(), p.body...)
		}
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
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
	}
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
	return p.sendBody(ctx, false)
}

// sendBody sends what is gathered of the body.
func (p *Put) sendBody(ctx context.Context, last bool) error {
	n, piece := p.chunks, p.body
	p.body, p.chunks = nil, p.chunks+1
	p.wide = p.wide || !ascii(piece)
	p.digest.Write(piece)
	p.check = crc32.Update(p.check, castagnoli, piece)
	return p.sendPiece(ctx, n, func(room []byte) []byte {
		defer giveBack(piece)
		return p.s.seal.WrapTo(room, piece, p.place(n, last))
	})
}

// sendPiece stores piece n as wrap makes it, in the memory of room if it likes.
func (p *Put) sendPiece(ctx context.Context, n int, wrap func(room []byte) []byte) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nodes.Explain(ctx.Err())
	}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		store := func() error {
			room := pieceRoom()
			defer giveBack(room)
			return p.storePiece(ctx, n, wrap(room))
		}
		if err := p.s.nodes.Guard("the storing of a piece of hold "+p.id, store); err != nil {
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
		return nodes.Explain(p.s.nodes.Client.Set(ctx, pieceKey(p.at, p.id, p.nonce, n), stored, stagedFor).Err())
	})
}

// stageRest sends what of a large message is still here: its last piece, and its header block.
func (p *Put) stageRest(ctx context.Context) error {
	if len(p.body) > 0 {
		if err := p.sendBody(ctx, true); err != nil {
			return err
		}
	}
	digest, only := p.digest.Sum(), p.chunks == 1
	first := func([]byte) []byte { return p.s.seal.WrapHeader(p.header, digest, p.place(0, only)) }
	if err := p.sendPiece(ctx, 0, first); err != nil {
		return err
	}
	p.work.Wait()
	return p.err()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // processors have an instruction for it

// fingerprint is what a client's retry has in common with the first try. A large body is not digested a second time for
// it: two bodies of a size that differ in white space alone are told apart by a check sum.
func (p *Put) fingerprint(whole bool) string {
	if whole {
		p.sum.Write(p.body)
	} else {
		fmt.Fprintf(p.sum, "%x:%d:%x", p.digest.Sum(), p.size, p.check)
	}
	return hex.EncodeToString(p.s.seal.Fingerprint(p.sum.Sum(nil)))[:printLength]
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
		names = append(names, pieceKey(p.at, p.id, p.nonce, n))
	}
	p.s.nodes.Client.Unlink(ctx, names...)
}

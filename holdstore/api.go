package holdstore

// Skeleton of the public API: to be replaced by put.go, claim.go, settle.go, recall.go, find.go, ...

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrUnavailable = errors.New("store not reachable")                  // network, LOADING, READONLY, timeouts
	ErrNotDurable  = errors.New("store could lose mail")                // strict durability refused; the text names the setting and the mend
	ErrFull        = errors.New("store is full")                        // OOM
	ErrUnknown     = errors.New("outcome unknown, fenced by tombstone") // a commit whose reply never came and whose hold was fenced off
	ErrLost        = errors.New("lease lost")                           // another daemon took the claim over
	ErrTooLate     = errors.New("too late")                             // releasing or released
	ErrNotFound    = errors.New("no such hold")
	ErrNotNow      = errors.New("not possible in this state") // restore of what is not recalled, recall of what is recalled, ...
)

// Options say how to reach Redis and what to demand of it.
type Options struct {
	Addresses       []string // host:port or unix:/path
	SentinelMaster  string
	Username        string
	Password        string
	DB              int
	Prefix          string
	Durability      string // strict | assumed | relaxed
	Replicas        int
	TLS             bool
	CAFile          string
	ServerName      string
	RecallRetention time.Duration // how long a recalled hold keeps its content
	RecordRetention time.Duration // how long the record of a released or recalled hold is kept
}

// Store is a client of the hold store. Safe for concurrent use.
type Store struct{}

// Open makes the client; it does not need Redis to be there.
func Open(o Options) (*Store, error) { panic("todo") }

// Close ends the background work of the store and its connections.
func (s *Store) Close() error { panic("todo") }

// Ready says whether the store may take holds now: nil, ErrUnavailable or ErrNotDurable with the mend.
func (s *Store) Ready(ctx context.Context) error { panic("todo") }

// Secret returns the 32-byte secret kept in the store, made once by whoever asks first.
func (s *Store) Secret(ctx context.Context) ([]byte, error) { panic("todo") }

// ---- put ----

// Put is one message on its way into the store. Not for concurrent use.
type Put struct{}

// Put begins a hold. header is the whole header block, every field ended by CRLF, without the blank line.
// Nothing is sent before enough is gathered.
func (s *Store) Put(sub Submission, header []byte) *Put { panic("todo") }

// Write adds bytes of the body; it may block while pieces travel, and returns the first error of a piece.
func (p *Put) Write(ctx context.Context, b []byte) error { panic("todo") }

// Size returns the bytes taken so far: header, blank line, body.
func (p *Put) Size() int64 { panic("todo") }

// Receipt is the answer to a commit.
type Receipt struct {
	ID     string
	Found  bool // an unconfirmed hold of the same envelope and content was there already; nothing new was made
	HeldAt time.Time
	Due    time.Time
}

// Commit makes the hold durable, or says why it is not: after any error but ErrUnavailable-with-failed-fence
// the message is certainly not held by this Put.
func (p *Put) Commit(ctx context.Context, t Terms) (Receipt, error) { panic("todo") }

// Abandon drops what was staged, best effort (it also expires by itself).
func (p *Put) Abandon() { panic("todo") }

// Confirm says that the MTA has read the DISCARD for this hold: an identical message is a new message from now on.
// Never blocks: it is sent in batches in the background.
func (s *Store) Confirm(id string) { panic("todo") }

// ---- release side ----

// NextDue returns how long until the next hold is due (0 or less: now); ok is false when none is held.
func (s *Store) NextDue(ctx context.Context) (wait time.Duration, ok bool, err error) { panic("todo") }

// Wake signals (capacity 1) when a hold became due earlier than what was the head; ends with ctx.
// It reconnects by itself and also signals after each reconnect.
func (s *Store) Wake(ctx context.Context) <-chan struct{} { panic("todo") }

// Claim is one due hold, leased to this daemon.
type Claim struct {
	Hold
	token string
}

// LeaseLeft returns how long the lease still runs by the local monotonic clock.
func (c *Claim) LeaseLeft() time.Duration { panic("todo") }

// Claim leases up to max due holds, soonest due first.
func (s *Store) Claim(ctx context.Context, max int) ([]*Claim, error) { panic("todo") }

// Renew extends the lease; ErrLost when another daemon holds it.
func (s *Store) Renew(ctx context.Context, c *Claim) error { panic("todo") }

// GiveBack returns a claim that was not attempted; its due moment and attempt count stay.
func (s *Store) GiveBack(ctx context.Context, c *Claim) error { panic("todo") }

// Content streams the message as it would be sent: header, blank line, body. A missing piece is an error.
func (s *Store) Content(ctx context.Context, h *Hold) io.Reader { panic("todo") }

// Header returns the header block of a hold, without reading its body.
func (s *Store) Header(ctx context.Context, h *Hold) ([]byte, error) { panic("todo") }

// Settlement is what one release attempt brought.
type Settlement struct {
	Results map[int]Result // by recipient index; only what changed
	RetryIn time.Duration  // 0: all is settled, the hold becomes released; else it is held again for so long
	Detail  string         // one line for the timeline: the MTA's reply with its queue ID, or why it is retried
}

// Settle writes the results of an attempt; ErrLost when the lease is not ours any more (nothing is written).
func (s *Store) Settle(ctx context.Context, c *Claim, st Settlement) error { panic("todo") }

// Reap takes expired leases back to held, forgets expired records, and drops what points nowhere. Bounded work per call.
func (s *Store) Reap(ctx context.Context) (Reaped, error) { panic("todo") }

// Reaped counts what one Reap did.
type Reaped struct{ LeasesExpired, RecordsForgotten, OrphansDropped int }

// ---- people ----

// Recall takes a hold back. nil: no recipient that was still pending will ever get it.
// ErrTooLate: releasing or released, nothing changed. ErrNotNow: recalled already. ErrNotFound.
// The returned Hold is the state after the act (Results tell which recipients were sent before).
func (s *Store) Recall(ctx context.Context, id string, a Act) (*Hold, error) { panic("todo") }

// Release makes the hold due now.
func (s *Store) Release(ctx context.Context, id string, a Act) (*Hold, error) { panic("todo") }

// Extend moves the due moment of a held message later by d.
func (s *Store) Extend(ctx context.Context, id string, d time.Duration, a Act) (*Hold, error) {
	panic("todo")
}

// Restore undoes a recall; the hold is due after its grace again (its Terms.Grace from now).
func (s *Store) Restore(ctx context.Context, id string, a Act) (*Hold, error) { panic("todo") }

// Get returns one hold by ID (any case). ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (*Hold, error) { panic("todo") }

// Resolve finds holds by REF: hold ID, Message-ID with or without <>, or the MTA's queue ID. Empty: none.
func (s *Store) Resolve(ctx context.Context, ref string) ([]*Hold, error) { panic("todo") }

// Query selects holds. Empty fields do not select. Text fields are exact addresses (answered by an index) or globs
// with * and ? (bounded scan), case-insensitive; Subject is a glob or a plain substring of the decoded subject.
type Query struct {
	States                                    []State   // nil: held and releasing
	Sender, Recipient, Subject, Login, Client string    // Client: an IP address or CIDR
	Since, Until                              time.Time // of HeldAt
}

// Find yields what matches, soonest due first.
func (s *Store) Find(ctx context.Context, q Query) iter.Seq2[*Hold, error] { panic("todo") }

// Stats counts.
type Stats struct {
	Count    map[State]int
	Bytes    int64         // content of held and releasing
	Oldest   time.Time     // HeldAt of the oldest held
	Lateness time.Duration // of the latest release
}

// Stats reads the counts.
func (s *Store) Stats(ctx context.Context) (Stats, error) { panic("todo") }

// Entry is one line of the audit trail.
type Entry struct {
	Cursor string // opaque; pass to Log to go on behind it
	At     time.Time
	Verb   string
	ID     string
	Act
	Detail string
}

// Log yields the audit trail behind a cursor ("" from the beginning), oldest first; with follow it waits for more until ctx ends.
func (s *Store) Log(ctx context.Context, cursor string, follow bool) iter.Seq2[Entry, error] {
	panic("todo")
}

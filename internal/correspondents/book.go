// Package correspondents is the memory of who has written to whom, for the conditions first_contact and lookalike. All
// gateways of a store share it. It learns from what is released and from what comes in; addresses are kept as hashes
// with the gateway's secret only, each with a day. A pair that was found is not looked up again for some minutes.
//
// Failure rules: mail never waits for what is learned, and while Redis is away it is forgotten: a contact may be taken
// for new once more. What can't be looked up is not known, and the policy then takes the longest grace. A new store
// learns for a while first, so that nobody is told that all contacts are new.
package correspondents

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/policy"
)

const (
	// Learning is how long a new store learns before a contact counts as new.
	Learning = 14 * 24 * time.Hour

	maxWaiting = 50_000 // pairs that wait to be written
	maxPeople  = 1000   // recipients of one message that are learned
	gatherTime = time.Second
	batch      = 5000 // pairs of one write
	writeTime  = 5 * time.Second
	askTime    = 2 * time.Second
	sweepEvery = 24 * time.Hour
	sinceFresh = time.Minute // how long the first day is believed
)

// Store is what the book needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	Acquaint(ctx context.Context, pairs []holdstore.Pair, keep time.Duration) error
	Acquainted(ctx context.Context, pairs []holdstore.Pair, keep time.Duration) ([]bool, error)
	AcquaintedSince(ctx context.Context) (day int, err error)
	ForgetOldPairs(ctx context.Context, keep time.Duration) (int, error)
}

// Book notes and finds correspondents. Safe for concurrent use.
type Book struct {
	store   Store
	keep    atomic.Int64 // hold.remember
	key     atomic.Pointer[[]byte]
	waiting chan holdstore.Pair
	log     outage.Log
	since   atomic.Pointer[known]
	found   found
}

// known is the first day of the memory, as it was at a moment.
type known struct {
	day int
	at  time.Time
}

// New returns a book that neither learns nor knows anything before Use and Run. Without Run it needs no log.
func New(store Store, keep time.Duration, log outage.Log) *Book {
	b := &Book{store: store, log: log, waiting: make(chan holdstore.Pair, maxWaiting)}
	b.Keep(keep)
	return b
}

// Keep sets for how long a contact is remembered; 0: nothing is learned, and nothing known.
func (b *Book) Keep(d time.Duration) {
	b.keep.Store(int64(d))
	b.found.clear()
}

// Use sets the gateway's secret.
func (b *Book) Use(secret []byte) {
	key := Key(secret)
	b.key.Store(&key)
	b.found.clear()
}

// Key derives the key of the memory from the gateway's secret.
func Key(secret []byte) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "recall-milter correspondents", sha256.Size)
	if err != nil { // only for a length that SHA-256 can't give
		panic(err)
	}
	return key
}

// Name is the hash of an address, or of "@" and a domain; "" is the site as a whole.
func Name(key []byte, address string) (c holdstore.Correspondent) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(policy.Fold(address)))
	copy(c[:], h.Sum(nil))
	return c
}

// Sent returns the pairs that a message teaches: the sender has written to each recipient, and the site to its domain.
func Sent(key []byte, sender string, recipients []string, day int) (all []holdstore.Pair) {
	if sender == "" {
		return nil
	}
	site, person, domains := Name(key, ""), Name(key, sender), map[string]bool{}
	for _, to := range recipients[:min(len(recipients), maxPeople)] {
		all = append(all, holdstore.Pair{Person: person, Contact: Name(key, to), Day: day})
		if d := "@" + holdstore.DomainOf(to); !domains[d] {
			domains[d] = true
			all = append(all, holdstore.Pair{Person: site, Contact: Name(key, d), Day: day})
		}
	}
	return all
}

// Came returns the pairs that a message from outside teaches. That somebody has written to us from a domain makes it no
// better known: who imitates a domain writes first.
func Came(key []byte, from string, recipients []string, day int) (all []holdstore.Pair) {
	if from == "" {
		return nil
	}
	contact := Name(key, from)
	for _, to := range recipients[:min(len(recipients), maxPeople)] {
		all = append(all, holdstore.Pair{Person: Name(key, to), Contact: contact, Came: true, Day: day})
	}
	return all
}

// NoteSent notes that a message has left. Never waits.
func (b *Book) NoteSent(sender string, recipients []string) { b.note(Sent, sender, recipients) }

// NoteCame notes that a message has come in. Never waits.
func (b *Book) NoteCame(from string, recipients []string) { b.note(Came, from, recipients) }

func (b *Book) note(pairs func([]byte, string, []string, int) []holdstore.Pair, from string, to []string) {
	key := b.key.Load()
	if key == nil || b.keep.Load() <= 0 {
		return
	}
	for _, p := range pairs(*key, from, to, holdstore.Day(time.Now())) {
		select {
		case b.waiting <- p:
		default:
			return
		}
	}
}

// Run writes what was noted, until ctx ends; then what waits.
func (b *Book) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	failing := false
	var away outage.Outage
	for {
		select {
		case <-sweep.C:
			if _, err := b.store.ForgetOldPairs(ctx, time.Duration(b.keep.Load())); err != nil {
				b.log.Trouble("correspondents that are too old are not forgotten yet", err)
			}
			continue
		case p := <-b.waiting:
			some, asked := b.gather(ctx, p), time.Now()
			err := b.write(ctx, some)
			away.Note(b.log, asked, err, "correspondents are not remembered: some may be taken for new ones",
				"correspondents are remembered again")
			failing = err != nil
		case <-ctx.Done():
			if len(b.waiting) > 0 && !failing {
				failing = b.write(ctx, b.gather(ctx, <-b.waiting)) != nil
				continue
			}
			return
		}
	}
}

// gather waits a moment for more pairs; each once.
func (b *Book) gather(ctx context.Context, first holdstore.Pair) []holdstore.Pair {
	some := map[holdstore.Pair]bool{first: true}
	for moment := time.After(gatherTime); len(some) < batch; {
		select {
		case p := <-b.waiting:
			some[p] = true
			continue
		case <-moment:
		case <-ctx.Done():
			if len(b.waiting) > 0 {
				some[<-b.waiting] = true
				continue
			}
		}
		break
	}
	all := make([]holdstore.Pair, 0, len(some))
	for p := range some {
		all = append(all, p)
	}
	return all
}

func (b *Book) write(ctx context.Context, pairs []holdstore.Pair) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	return b.store.Acquaint(ctx, pairs, time.Duration(b.keep.Load()))
}

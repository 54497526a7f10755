// Package choice knows the graces that people have chosen for themselves. All of them are in memory, so that no message
// waits for the store to tell of one. A choice counts on all gateways within Stale.
//
// Rules that hold: it is one login's, or one address's, and counts for their mail only. Before the choices were read
// once, whoever asks waits for them: a message must not leave sooner than its sender has chosen.
package choice

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Stale is how long a choice may take until it counts.
const Stale = 2 * time.Second

// readTime is how long one look at the store may take.
const readTime = 5 * time.Second

// Store has the choices; holdstore.Store says what the method promises.
type Store interface {
	ChosenGraces(ctx context.Context, have string) (map[string]time.Duration, string, error)
}

// Names are those under which the choice of a person is kept: their login, and the addresses that they have proven.
func Names(login string, addresses ...string) (names []string) {
	if login != "" {
		names = append(names, "login "+login)
	}
	for _, a := range addresses {
		if a != "" {
			names = append(names, "address "+a)
		}
	}
	return names
}

// Choices are the choices of all people. Safe for concurrent use.
type Choices struct {
	store   Store
	allowed func() bool // whether people may choose
	known   atomic.Pointer[map[string]time.Duration]

	one     sync.Mutex // for who reads
	version string
}

// New returns the choices in a store; nothing is read while people may not choose.
func New(store Store, allowed func() bool) *Choices { return &Choices{store: store, allowed: allowed} }

// Follow reads what changes until ctx ends. What can't be read stays as it was, and is tried again.
func (c *Choices) Follow(ctx context.Context) {
	tick := time.NewTicker(Stale / 2)
	defer tick.Stop()
	for {
		if c.allowed() {
			_ = c.read(ctx) // with the store away, nothing is held anyway
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Choices) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c.one.Lock()
	defer c.one.Unlock()
	all, version, err := c.store.ChosenGraces(ctx, c.version)
	if err != nil {
		return err
	}
	if c.version = version; all != nil {
		c.known.Store(&all)
	}
	return nil
}

// Of returns what the sender of a message has chosen, by its login or else its envelope sender; nil: nothing.
func (c *Choices) Of(ctx context.Context, login, sender string) *time.Duration {
	if !c.allowed() {
		return nil
	}
	if c.known.Load() == nil {
		_ = c.read(ctx)
	}
	known := c.known.Load()
	if known == nil {
		return nil
	}
	for _, name := range Names(login, sender) {
		if grace, ok := (*known)[holdstore.Digest(name)]; ok {
			return &grace
		}
	}
	return nil
}

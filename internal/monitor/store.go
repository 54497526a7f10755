package monitor

import (
	"context"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/milter"
)

// storeKinds are the labels of the metric of store errors.
var storeKinds = []string{"away", "partial", "schema", "full", "not_durable", "unknown", "lost", "other"}

func kindOf(err error) string {
	for _, k := range []struct {
		is   error
		kind string
	}{{holdstore.ErrSchema, "schema"}, {holdstore.ErrPartial, "partial"}, {holdstore.ErrFull,
		"full"}, {holdstore.ErrNotDurable, "not_durable"}, {holdstore.ErrUnknown, "unknown"},
		{holdstore.ErrLost, "lost"}, {holdstore.ErrUnavailable, "away"}} {
		if errors.Is(err, k.is) {
			return k.kind
		}
	}
	return "other"
}

// took notes how long the store took, and why it failed.
func (m *Metrics) took(operation string, began time.Time, err error) {
	m.storeTime.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	if err != nil && !errors.Is(err, holdstore.ErrPaused) {
		m.storeErrors.WithLabelValues(operation, kindOf(err)).Inc()
	}
}

// Timed is the store as the release loop uses it; what its work waits for is timed.
type Timed struct {
	*holdstore.Store
	m *Metrics
}

// Timed returns the store with its times taken.
func (m *Metrics) Timed(s *holdstore.Store) Timed { return Timed{s, m} }

// Claim is timed.
func (t Timed) Claim(ctx context.Context, max int) (claims []*holdstore.Claim, err error) {
	defer func(began time.Time) { t.m.took("claim", began, err) }(time.Now())
	return t.Store.Claim(ctx, max)
}

// Renew is timed.
func (t Timed) Renew(ctx context.Context, c *holdstore.Claim) (err error) {
	defer func(began time.Time) { t.m.took("renew", began, err) }(time.Now())
	return t.Store.Renew(ctx, c)
}

// Settle is timed.
func (t Timed) Settle(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (err error) {
	defer func(began time.Time) { t.m.took("settle", began, err) }(time.Now())
	return t.Store.Settle(ctx, c, st)
}

// Reap is timed.
func (t Timed) Reap(ctx context.Context) (done holdstore.Reaped, err error) {
	defer func(began time.Time) { t.m.took("reap", began, err) }(time.Now())
	return t.Store.Reap(ctx)
}

// Taking returns the store as milter sessions use it, with the time of its commits taken.
func (m *Metrics) Taking(s milter.Store) milter.Store { return taking{s, m} }

type taking struct {
	milter.Store
	m *Metrics
}

func (t taking) Put(sub holdstore.Submission, header []byte) milter.Put {
	return put{t.Store.Put(sub, header), t.m}
}

type put struct {
	milter.Put
	m *Metrics
}

func (p put) Commit(ctx context.Context, t holdstore.Terms) (r holdstore.Committed, err error) {
	defer func(began time.Time) { p.m.took("commit", began, err) }(time.Now())
	return p.Put.Commit(ctx, t)
}

// SettleNext is timed as a settlement.
func (t Timed) SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (next *holdstore.Claim,
	err error) {
	defer func(began time.Time) { t.m.took("settle", began, err) }(time.Now())
	return t.Store.SettleNext(ctx, c, st)
}

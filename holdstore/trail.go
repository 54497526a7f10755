package holdstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// The audit trail keeps everything for as long as records are kept, and older entries while there are few. What many
// holds had done to them at once is one entry.
const (
	trailFew = 100_000 // entries of a shard that stay however old they are
	trailCut = 1000    // entries that one Reap drops
)

// Entry is one line of the audit trail.
type Entry struct {
	At   time.Time
	Verb string
	ID   string
	Actor
	Detail string
}

const (
	logPage  = 500         // entries of one shard that one round trip reads
	logPause = time.Second // between two looks for more
)

// Log yields the audit trail from a moment on (zero: from its beginning), oldest first; with follow it waits for more
// until ctx ends. ErrPartial is yielded behind what the other servers have. With follow that ends nothing, and is
// yielded once until all answer again: what is missing is read on then.
func (s *Store) Log(ctx context.Context, since time.Time, follow bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		t, said := newTrail(s, since), false
		for ctx.Err() == nil {
			entries, err := t.more(ctx)
			partly := errors.Is(err, ErrPartial)
			if err != nil && !partly {
				if ctx.Err() == nil {
					yield(Entry{}, err)
				}
				return
			}
			for _, e := range entries {
				if !e.each(yield) {
					return
				}
			}
			if len(entries) > 0 {
				continue
			}
			if partly && !said && ctx.Err() == nil && !yield(Entry{}, err) || !follow {
				return
			}
			said = partly
			pause(ctx, logPause)
		}
	}
}

// each yields a stored entry once for each of its holds.
func (e Entry) each(yield func(Entry, error) bool) bool {
	for id := range strings.SplitSeq(e.ID, " ") {
		e.ID = id
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// trail is a reader of all shards' streams: where it stands in each.
type trail struct {
	s     *Store
	after map[nodes.Shard]string
}

func newTrail(s *Store, since time.Time) *trail {
	start := "0-0"
	if !since.IsZero() {
		start = stamp(since) + "-0"
	}
	t := &trail{s: s, after: map[nodes.Shard]string{}}
	for _, at := range s.nodes.Shards {
		t.after[at] = start
	}
	return t
}

// more reads on. Of shards with more than a page it takes no entry that is younger than what another shard has not
// shown yet.
func (t *trail) more(ctx context.Context) ([]Entry, error) {
	shards, partly := t.s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, partly
	}
	pipe := t.s.nodes.Client.Pipeline()
	pages := make([]*redis.XMessageSliceCmd, len(shards))
	for n, at := range shards {
		pages[n] = pipe.XRangeN(ctx, logKey(at), "("+t.after[at], "+", logPage)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	var until time.Time // zero: all there is was read
	for _, p := range pages {
		if page := p.Val(); len(page) == logPage {
			if last := entry(page[logPage-1]).At; until.IsZero() || last.Before(until) {
				until = last
			}
		}
	}
	var all []Entry
	for n, p := range pages {
		for _, m := range p.Val() {
			e := entry(m)
			if !until.IsZero() && e.At.After(until) {
				break
			}
			all = append(all, e)
			t.after[shards[n]] = m.ID
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, partly
}

// LogBack yields the audit trail between two moments (zero: no bound), newest first. ErrPartial is yielded behind what
// the other servers have.
func (s *Store) LogBack(ctx context.Context, since, until time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		first, last := "-", "+"
		if !since.IsZero() {
			first = stamp(since)
		}
		if !until.IsZero() {
			last = stamp(until)
		}
		before := map[nodes.Shard]string{}
		for _, at := range s.nodes.Shards {
			before[at] = last
		}
		for {
			entries, err := s.trailBefore(ctx, first, before)
			if err != nil && !errors.Is(err, ErrPartial) {
				yield(Entry{}, err)
				return
			}
			for _, e := range entries {
				if !e.each(yield) {
					return
				}
			}
			if len(entries) == 0 {
				if err != nil {
					yield(Entry{}, err)
				}
				return
			}
		}
	}
}

// trailBefore reads a page of each shard that is older than before says, which moves on. Of shards with more than a
// page it takes no entry that is older than what another shard has not shown yet.
func (s *Store) trailBefore(ctx context.Context, first string, before map[nodes.Shard]string) ([]Entry, error) {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, partly
	}
	pipe := s.nodes.Client.Pipeline()
	pages := make([]*redis.XMessageSliceCmd, len(shards))
	for n, at := range shards {
		pages[n] = pipe.XRevRangeN(ctx, logKey(at), before[at], first, logPage)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	var since time.Time // zero: all there is was read
	for _, p := range pages {
		if page := p.Val(); len(page) == logPage {
			if last := entry(page[logPage-1]).At; last.After(since) {
				since = last
			}
		}
	}
	var all []Entry
	for n, p := range pages {
		for _, m := range p.Val() {
			e := entry(m)
			if e.At.Before(since) {
				break
			}
			all = append(all, e)
			before[shards[n]] = "(" + m.ID
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return b.At.Compare(a.At) })
	return all, partly
}

func entry(m redis.XMessage) Entry {
	text := func(name string) string { v, _ := m.Values[name].(string); return v }
	ms, _, _ := strings.Cut(m.ID, "-")
	return Entry{At: moment(ms), Verb: text("verb"), ID: text("id"), Detail: text("detail"),
		Actor: Actor{By: text("by"), From: text("from"), Reason: text("reason")}}
}

// cutTrail drops the oldest entries of a shard's trail that are beyond trailFew and older than any record.
func (s *Store) cutTrail(ctx context.Context, node redis.UniversalClient, at nodes.Shard, now time.Time) error {
	length, err := node.XLen(ctx, logKey(at)).Result()
	if err != nil || length <= trailFew {
		return nodes.Explain(err)
	}
	old := stamp(now.Add(-s.recordTime()))
	page, err := node.XRangeN(ctx, logKey(at), "-", old, min(length-trailFew, trailCut)).Result()
	if err != nil || len(page) == 0 {
		return nodes.Explain(err)
	}
	return nodes.Explain(node.XTrimMinID(ctx, logKey(at), page[len(page)-1].ID).Err())
}

// Audit writes into the trail what was tried and changed nothing: a recall that was refused.
func (s *Store) Audit(ctx context.Context, verb, id string, a Actor, detail string) error {
	at := s.nodes.Of(id)
	if id == "" { // it is about no message: any server that answers can have it
		shards, err := s.near(ctx, id)
		if err != nil {
			return err
		}
		at = shards[0]
	}
	if err := s.nodes.Admit(ctx, at); err != nil {
		return err
	}
	return nodes.Explain(s.nodes.Client.XAdd(ctx, &redis.XAddArgs{
		Stream: logKey(at), MaxLen: trailMost, Approx: true,
		Values: []string{"verb", verb, "id", id, "by", a.By, "from", a.From, "reason", a.Reason, "detail", detail},
	}).Err())
}

package holdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// findPage is how many holds one round trip reads.
const findPage = 500

// Get returns one hold by ID (any case). ErrNotFound. ErrPartial: its server is away, others of the store are not.
func (s *Store) Get(ctx context.Context, id string) (*Hold, error) {
	canonical, ok := holdid.Parse(id)
	if !ok {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	if err := s.nodes.Reach(ctx, s.nodes.Of(canonical)); err != nil {
		return nil, err
	}
	if err := s.nodes.Admit(ctx, s.nodes.Of(canonical)); err != nil {
		return nil, err
	}
	fields, err := s.nodes.Client.HGetAll(ctx, holdKey(s.nodes.Of(canonical), canonical)).Result()
	if err != nil {
		return nil, nodes.Explain(err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s: %w", canonical, ErrNotFound)
	}
	return s.parseHold(canonical, fields)
}

// loadEach reads many holds, leaving out those that are gone meanwhile and, with an error at the end, those that can't be read.
func (s *Store) loadEach(ctx context.Context, ids []string) (holds []*Hold, damaged error, err error) {
	return s.loadKept(ctx, ids, func(*Hold) bool { return true })
}

// loadKept is loadEach of the holds that keep lets stay. What it reads at a time is bounded: a record may be as large as the
// largest envelope.
func (s *Store) loadKept(ctx context.Context, ids []string, keep func(*Hold) bool) (holds []*Hold, damaged error, err error) {
	err = s.inParts(ctx, ids, func(some []string) error {
		pipe := s.nodes.Client.Pipeline()
		replies := make([]*redis.MapStringStringCmd, len(some))
		for n, id := range some {
			replies[n] = pipe.HGetAll(ctx, holdKey(s.nodes.Of(id), id))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nodes.Explain(err)
		}
		for n, id := range some {
			if len(replies[n].Val()) == 0 {
				continue
			}
			h, wrong := s.parseHold(id, replies[n].Val())
			if wrong != nil {
				damaged = wrong
			} else if keep(h) {
				holds = append(holds, h)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return holds, damaged, nil
}

// Resolve finds holds by REF: hold ID, Message-ID with or without <>, or the MTA's queue ID; of many with one name, the
// newest. They are in the order of their IDs, which is by time. Empty: none. With ErrPartial there may be more of that name.
func (s *Store) Resolve(ctx context.Context, ref string) ([]*Hold, error) {
	return s.ResolveOwn(ctx, ref, func(*Hold) bool { return true })
}

// ResolveOwn is Resolve for somebody: when a name is that of some holds for which own is true, those are all that it means.
// Anybody can type a Message-ID, and MTAs use queue IDs again, so others' holds must not hide one's own.
func (s *Store) ResolveOwn(ctx context.Context, ref string, own func(*Hold) bool) ([]*Hold, error) {
	h, err := s.Get(ctx, ref)
	if err == nil {
		return []*Hold{h}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	is, entries := s.named(ref)
	ids, partly := s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) (found []*redis.StringSliceCmd) {
		for _, entry := range entries {
			found = append(found, pipe.ZRange(ctx, indexKey(at, entry), 0, -1))
		}
		return found
	})
	if partly != nil && !errors.Is(partly, ErrPartial) {
		return nil, partly
	}
	ids = distinct(ids)
	slices.Reverse(ids)
	var mine, others newest
	for page := range slices.Chunk(ids, findPage) {
		_, _, err := s.loadKept(ctx, page, func(h *Hold) bool {
			if is(h) && own(h) {
				mine.add(h)
			} else if is(h) && len(mine.holds) == 0 {
				others.add(h)
			}
			return false
		})
		if err != nil {
			return nil, err
		}
		if mine.full {
			break
		}
	}
	if len(mine.holds) == 0 {
		mine = others
	}
	slices.Reverse(mine.holds)
	return mine.holds, partly
}

// newest are holds of one name, the newest first, until there are too many, or too many recipients of them: those are what
// takes memory.
type newest struct {
	holds      []*Hold
	recipients int
	full       bool
}

// namedRecipients is how many recipients the holds that one name means have together at most, unless it is a single one.
const namedRecipients = 100_000

func (n *newest) add(h *Hold) {
	n.recipients += len(h.Recipients)
	if n.full = n.full || len(n.holds) == findPage || len(n.holds) > 0 && n.recipients > namedRecipients; !n.full {
		n.holds = append(n.holds, h)
	}
}

// named says which holds a REF that is no hold ID can mean, and which index entries they are in. A queue ID is no
// Message-ID: the sender of a message chooses the one, never the other.
func (s *Store) named(ref string) (is func(*Hold) bool, entries []string) {
	if !strings.ContainsAny(ref, "<@>") {
		return func(h *Hold) bool { return h.QueueID == ref }, s.entries("q", ref)
	}
	bare := strings.Trim(ref, "<>")
	return func(h *Hold) bool { return h.MessageID == "<"+bare+">" || h.MessageID == bare }, s.entries("m", "<"+bare+">", bare)
}

// gather asks all shards the same, and returns their answers together; with ErrPartial those that came.
func (s *Store) gather(ctx context.Context, ask func(pipe redis.Pipeliner, at nodes.Shard) []*redis.StringSliceCmd) (all []string, err error) {
	shards, partly := s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return nil, partly
	}
	pipe := s.nodes.Client.Pipeline()
	var replies []*redis.StringSliceCmd
	for _, at := range shards {
		replies = append(replies, ask(pipe, at)...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	for _, r := range replies {
		all = append(all, r.Val()...)
	}
	return all, partly
}

// inState lists all holds in a state.
func (s *Store) inState(ctx context.Context, st State) ([]string, error) {
	return s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) []*redis.StringSliceCmd {
		return []*redis.StringSliceCmd{pipe.ZRange(ctx, stateKey(at, st), 0, -1)}
	})
}

// distinct sorts IDs, which is by time, and leaves each one once.
func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Find yields what matches, soonest due first; records by when they end. It reads the narrowest index that answers, in
// pages: a filter by a pattern looks at all holds in the states that are asked for. What was put, released or recalled
// meanwhile may be among them or not. Damage to a record ends nothing: it is yielded as an error, ErrDamaged, at the end;
// and so is ErrPartial, when some servers do not answer.
func (s *Store) Find(ctx context.Context, q Query) iter.Seq2[*Hold, error] {
	if len(q.States) == 0 {
		q.States = []State{Held, Releasing}
	}
	return func(yield func(*Hold, error) bool) {
		f := &finding{s: s, q: q, yield: yield}
		err := f.run(ctx)
		if err == nil {
			err = f.damaged
		}
		if err != nil && !f.ended {
			yield(nil, err)
		}
	}
}

// finding is one Find under way.
type finding struct {
	s       *Store
	q       Query
	m       *matcher
	yield   func(*Hold, error) bool
	ended   bool // the caller has enough
	damaged error
}

func (f *finding) run(ctx context.Context) (err error) {
	if f.m, err = newMatcher(f.q); err != nil {
		return err
	}
	shards, partly := f.s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return partly
	}
	defer func() { err = cmp.Or(err, partly) }()
	src, err := f.s.narrowest(ctx, f.q, shards)
	if err != nil {
		return err
	}
	if src.sorted || f.q.AnyOrder {
		return f.each(ctx, src, func(h *Hold) bool { return f.yield(h, nil) })
	}
	var all []match
	err = f.each(ctx, src, func(h *Hold) bool {
		m := match{id: h.ID, due: h.Due}
		if len(all) < keptWhole {
			m.hold = h
		}
		all = append(all, m)
		return true
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b match) int { return a.due.Compare(b.due) })
	return f.show(ctx, all)
}

// keptWhole bounds the memory that a search takes: of what is beyond, only the ID is kept until it is shown.
const keptWhole = 10_000

// match is one hold that was found, before all are in order.
type match struct {
	id   string
	due  time.Time
	hold *Hold // nil: to be read again
}

// each calls do with all holds of a source that match, until it says false.
func (f *finding) each(ctx context.Context, src *source, do func(*Hold) bool) error {
	looked := 0
	return f.s.pages(ctx, src, func(ids []string) (bool, error) {
		holds, damaged, err := f.s.loadEach(ctx, ids)
		if err != nil {
			return false, err
		}
		if damaged != nil {
			f.damaged = damaged
		}
		if looked += len(ids); f.q.Progress != nil {
			f.q.Progress(looked, max(src.count, looked))
		}
		for _, h := range holds {
			if f.m.matches(h) && !do(h) {
				f.ended = true
				return false, nil
			}
		}
		return true, nil
	})
}

// show yields what was found and put in order.
func (f *finding) show(ctx context.Context, all []match) error {
	for page := range slices.Chunk(all, findPage) {
		if err := f.reload(ctx, page); err != nil {
			return err
		}
		for _, m := range page {
			if m.hold != nil && !f.yield(m.hold, nil) {
				f.ended = true
				return nil
			}
		}
	}
	return nil
}

// reload reads again what was not kept, and leaves out what is gone or does not match any more.
func (f *finding) reload(ctx context.Context, page []match) error {
	var ids []string
	for _, m := range page {
		if m.hold == nil {
			ids = append(ids, m.id)
		}
	}
	holds, _, err := f.s.loadEach(ctx, ids)
	if err != nil {
		return err
	}
	byID := map[string]*Hold{}
	for _, h := range holds {
		byID[h.ID] = h
	}
	for n, m := range page {
		if h := byID[m.id]; m.hold == nil && h != nil && f.m.matches(h) {
			page[n].hold = h
		}
	}
	return nil
}

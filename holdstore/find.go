package holdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Get returns one hold by ID (any case). ErrNotFound. ErrPartial: its server is away, others of the store are not.
func (s *Store) Get(ctx context.Context, id string) (*Hold, error) {
	h, _, err := s.get(ctx, id)
	return h, err
}

// get is Get, and returns the fields of the hash as well.
func (s *Store) get(ctx context.Context, id string) (*Hold, map[string]string, error) {
	canonical, ok := holdid.Parse(id)
	if !ok {
		return nil, nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	if err := s.nodes.Reach(ctx, s.nodes.Of(canonical)); err != nil {
		return nil, nil, err
	}
	if err := s.nodes.Admit(ctx, s.nodes.Of(canonical)); err != nil {
		return nil, nil, err
	}
	fields, err := s.recordOf(ctx, canonical)
	if err != nil {
		return nil, nil, err
	}
	if len(fields) == 0 {
		return nil, nil, s.gone(ctx, canonical)
	}
	h, err := s.parseHold(canonical, fields)
	return h, fields, err
}

// gone is the error for a hold without a record.
func (s *Store) gone(ctx context.Context, id string) error {
	key := string(s.nodes.Of(id)) + "aside:h:" + id
	if n, err := s.nodes.Client.Exists(ctx, key).Result(); err == nil && n > 0 {
		return &notDone{id, ErrDamaged, "its record was overwritten, and is set aside as " + key +
			"; its content is kept: restore the record from a copy of the store"}
	}
	return &notDone{id, ErrNotFound, ""}
}

// Resolve finds holds by REF: hold ID, Message-ID with or without <>, or the MTA's queue ID; of many with one name, the
// newest. They are in the order of their IDs, which is by time. Empty: none. With ErrPartial there may be more of that
// name.
func (s *Store) Resolve(ctx context.Context, ref string) ([]*Hold, error) {
	return s.ResolveOwn(ctx, ref, func(*Hold) bool { return true })
}

// ResolveOwn is Resolve for somebody: when a name is that of some holds for which own is true, those are all that it
// means. Anybody can type a Message-ID, and MTAs use queue IDs again, so others' holds must not hide one's own.
func (s *Store) ResolveOwn(ctx context.Context, ref string, own func(*Hold) bool) ([]*Hold, error) {
	h, err := s.Get(ctx, ref)
	if err == nil {
		return []*Hold{h}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	is, entries := s.named(ref)
	ids, partly := s.listedAnywhere(ctx, entries)
	if partly != nil && !errors.Is(partly, ErrPartial) {
		return nil, partly
	}
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

// newest are holds of one name, the newest first, until there are too many of them or of their recipients, which take
// the memory.
type newest struct {
	holds      []*Hold
	recipients int
	full       bool
}

// namedRecipients is how many recipients the holds that one name means have together at most, unless it is a single
// one.
const namedRecipients = 100_000

func (n *newest) add(h *Hold) {
	n.recipients += len(h.Recipients)
	if n.full = n.full || len(n.holds) == findPage || len(n.holds) > 0 && n.recipients > namedRecipients; !n.full {
		n.holds = append(n.holds, h)
	}
}

// named says which holds a REF that is not a hold ID can mean, and which index entries they are in. A queue ID is not a
// Message-ID: the sender of a message chooses the one, never the other.
func (s *Store) named(ref string) (is func(*Hold) bool, entries []string) {
	if !strings.ContainsAny(ref, "<@>") {
		return func(h *Hold) bool { return h.QueueID == ref }, s.entries("q", ref)
	}
	bare := strings.Trim(ref, "<>")
	has := func(h *Hold) bool { return SameID(h.MessageID, ref) }
	return has, s.entries("m", "<"+bare+">", bare)
}

// WaitingIDs lists what waits: held and releasing; with ErrPartial that of the servers that answer.
func (s *Store) WaitingIDs(ctx context.Context) ([]string, error) {
	shards, partly := s.nodes.Visible(ctx)
	var all []string
	for _, at := range shards {
		tx := s.nodes.Client.TxPipeline() // between two looks a hold could be given back, and would be in neither
		held, releasing := tx.ZRange(ctx, stateKey(at, Held), 0, -1), tx.ZRange(ctx, stateKey(at, Releasing), 0, -1)
		if _, err := tx.Exec(ctx); err != nil {
			return nil, nodes.Explain(err)
		}
		all = append(append(all, held.Val()...), releasing.Val()...)
	}
	return distinct(all), partly // damage can put one into both
}

// States reads the states of holds; "" stands for one that is gone.
func (s *Store) States(ctx context.Context, ids []string) ([]State, error) {
	states := make([]State, 0, len(ids))
	for page := range slices.Chunk(ids, findPage) {
		pipe := s.nodes.Client.Pipeline()
		replies, there := make([]*redis.StringCmd, len(page)), make([]*redis.IntCmd, len(page))
		known := make([]map[string]string, len(page))
		for n, id := range page {
			replies[n] = pipe.HGet(ctx, holdKey(s.nodes.Of(id), id), "state")
			there[n] = pipe.Exists(ctx, holdKey(s.nodes.Of(id), id))
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return nil, nodes.Explain(err)
		}
		for n, r := range replies {
			if there[n].Val() == 1 {
				known[n] = map[string]string{"state": cmp.Or(r.Val(), string(Held))} // none: nothing happened to it yet
			}
		}
		if err := errors.Join(s.onShelves(ctx, page, known), s.hashes(ctx, page, known)); err != nil { // as in recordsOf
			return nil, nodes.Explain(err)
		}
		for _, fields := range known {
			states = append(states, State(unpacked(fields)["state"]))
		}
	}
	return states, nil
}

// GetSome reads those of the holds that are still there and can be read; give it a page at a time.
func (s *Store) GetSome(ctx context.Context, ids []string) ([]*Hold, error) {
	holds, _, err := s.loadEach(ctx, ids)
	return holds, err
}

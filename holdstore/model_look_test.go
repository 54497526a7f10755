package holdstore

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// look compares the store with the picture.
func (m *modelled) look(rt *rapid.T) {
	var seen map[string]spot
	m.surely(rt, func() (err error) { seen, err = m.seen(); return err })
	m.vanish(rt, seen)
	for id := range seen {
		if m.of(id) == nil {
			m.appear(rt, id)
		}
	}
	for _, n := range m.holds {
		if is := seen[n.id]; !m.moves(n, is) {
			rt.Fatalf("%s is %+v, the picture says %+v", n.id, is, n.at)
		}
	}
	for _, f := range slices.Clone(m.flights) {
		if f.stays && (f.seen || f.on.at.state != Releasing) {
			f.stays = false
			m.done(f)
		}
	}
	m.may()
	m.count(rt, seen)
}

// seen reads all holds.
func (m *modelled) seen() (map[string]spot, error) {
	ids, err := m.reader.gather(m.ctx, func(pipe redis.Pipeliner, at nodes.Shard) (all []*redis.StringSliceCmd) {
		for _, state := range allStates {
			all = append(all, pipe.ZRange(m.ctx, stateKey(at, state), 0, -1))
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	shelved := 0
	for _, at := range m.reader.nodes.Shards {
		some, err := shelvedIDs(m.ctx, m.reader, at)
		if err != nil {
			return nil, err
		}
		shelved += len(some)
		ids = append(ids, some...)
	}
	m.shelved = max(m.shelved, shelved)
	ids = distinct(ids) // what moves meanwhile may be met twice
	holds, err := m.reader.GetSome(m.ctx, ids)
	if err != nil {
		return nil, err
	}
	pipe, all := m.reader.nodes.Client.Pipeline(), map[string]spot{}
	for _, h := range holds {
		pipe.HExists(m.ctx, holdKey(m.reader.nodes.Of(h.ID), h.ID), "cut")
	}
	cut, err := pipe.Exec(m.ctx)
	if err != nil {
		return nil, err
	}
	for n, h := range holds {
		p := spot{state: h.State, cut: cut[n].(*redis.BoolCmd).Val(), due: h.State == Releasing || h.State == Held &&
			time.Until(h.Due) < 30*time.Minute}
		for _, r := range h.Results {
			if r.Outcome != TakenBack && !r.CutOff {
				p.left++
			}
		}
		if h.State == Recalled {
			p.again = len(h.Results) - p.left - len(takenEarlier(nil, h))
		}
		all[h.ID] = p
	}
	return all, nil
}

// appear takes a hold in that was not there before: somebody must be about to put it, and it must be the only one that
// an identical message finds.
func (m *modelled) appear(rt *rapid.T, id string) {
	h, err := m.reader.Get(m.ctx, id)
	if err != nil {
		rt.Fatal(err)
	}
	mark := strings.TrimSuffix(strings.TrimPrefix(h.MessageID, "<"), "@mid.test>")
	i := slices.IndexFunc(m.messages, func(msg *message) bool { return msg.mark == mark })
	if m.putting(m.messages[i]) == 0 {
		rt.Fatalf("%s is a hold of message %s, which nobody puts", id, mark)
	}
	n := &known{message: m.messages[i], id: id, at: spot{state: Held, due: m.messages[i].now, left: 2}}
	for _, other := range m.holds {
		if other.message == n.message && !other.confirmed {
			rt.Fatalf("message %s is held as %s, although %s is not confirmed", mark, id, other.id)
		}
	}
	m.holds = append(m.holds, n)
	if old := m.of(n.replaces); old != nil && old.at.state == Held {
		old.before, old.by = old.at, id
		old.at, _ = recalled(old.at)
	}
}

// vanish lets go of what a gateway has fenced off, and whoever relies on it must not be there. What was replaced is
// back.
func (m *modelled) vanish(rt *rapid.T, seen map[string]spot) {
	m.holds = slices.DeleteFunc(m.holds, func(n *known) bool {
		if _, ok := seen[n.id]; ok {
			return false
		}
		if n.owed || n.at.state != Held || m.putting(n.message) == 0 {
			rt.Fatalf("%s is gone, which was %+v, owed: %v", n.id, n.at, n.owed)
		}
		if old := m.of(n.replaces); old != nil && old.by == n.id {
			old.at, old.by = old.before, ""
			if !old.at.due {
				old.at.due = seen[old.id].due // after its grace
			}
		}
		n.at = spot{}
		return true
	})
}

func (m *modelled) count(rt *rapid.T, seen map[string]spot) {
	var st Stats
	m.surely(rt, func() (err error) { st, err = m.reader.Stats(m.ctx); return err })
	counts := map[State]int{}
	for _, p := range seen {
		counts[p.state]++
	}
	for _, state := range allStates {
		if st.Count[state] != counts[state] {
			rt.Fatalf("%d are counted as %s, and there are %d", st.Count[state], state, counts[state])
		}
	}
}

// end lets everything come to its end: what was acknowledged is recalled, or is sent as it was submitted, and nothing
// in the store contradicts the rest.
func (m *modelled) end(rt *rapid.T) {
	for len(m.late) > 0 {
		m.arrives(rt, m.late[0])
	}
	m.sound(rt)
	m.calm = true
	for _, n := range m.holds {
		if n.at.state == Releasing {
			m.flights = append(m.flights, m.endLease(rt, n))
		}
	}
	m.surely(rt, func() error { _, err := m.reader.Reap(m.ctx); return err })
	m.look(rt)
	for _, n := range m.holds {
		if n.at.state == Held {
			m.surely(rt, func() error { _, err := m.reader.Release(m.ctx, n.id, alice); return err })
			n.at.due = true
		}
	}
	m.drain(rt)
	m.sound(rt)
}

func (m *modelled) drain(rt *rapid.T) {
	m.allLeave(rt)
	for _, n := range m.holds {
		if n.at.state != Released && n.at.state != Recalled {
			rt.Fatalf("%s is %+v at the end", n.id, n.at)
		}
	}
}

// allLeave lets everything leave that is due.
func (m *modelled) allLeave(rt *rapid.T) {
	var claims []*Claim
	m.surely(rt, func() (err error) { claims, err = m.reader.Claim(m.ctx, 100); return err })
	for ; len(claims) > 0; m.surely(rt, func() (err error) { claims, err = m.reader.Claim(m.ctx, 100); return err }) {
		for _, c := range claims {
			m.leaves(rt, c)
		}
	}
	m.look(rt)
}

func (m *modelled) leaves(rt *rapid.T, c *Claim) {
	n := m.of(c.ID)
	content, err := io.ReadAll(m.reader.Content(m.ctx, &c.Hold))
	if err != nil || string(content) != n.header()+"\r\n"+n.body() {
		rt.Fatalf("%s has a content of %d bytes, %v", c.ID, len(content), err)
	}
	st := Settlement{Results: map[int]Result{}}
	for i, r := range c.Results {
		if r.Outcome == Pending {
			st.Results[i] = Result{Outcome: Sent}
		}
		if r.Outcome == Pending && n.back[i] {
			rt.Fatalf("%s was recalled for %d, and is sent", c.ID, i)
		}
	}
	m.surely(rt, func() error { return m.reader.Settle(m.ctx, c, st) })
	n.at.state, n.at.due = Released, false
}

// sound says that nothing in the store contradicts the rest of it.
func (m *modelled) sound(rt *rapid.T) {
	var all []Fault
	m.surely(rt, func() error {
		all = nil
		for f, err := range m.reader.Fsck(m.ctx, false, nil) {
			if err != nil {
				return err
			}
			if !m.tolerable(f) {
				all = append(all, f)
			}
		}
		return nil
	})
	if len(all) > 0 {
		rt.Fatalf("the store is not sound: %+v", all)
	}
}

// tolerable is what a commit may leave behind whose reply is lost: index entries, when its ID was another's.
func (m *modelled) tolerable(f Fault) bool {
	return strings.HasPrefix(f.Name, "index ") &&
		slices.ContainsFunc(m.mixed, func(id string) bool { return strings.HasSuffix(f.Name, ": "+id) })
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func (m *modelled) put(rt *rapid.T) {
	msg := &message{mark: fmt.Sprint("m", len(m.messages)), now: rapid.Bool().Draw(rt, "due now"),
		size: rapid.SampledFrom([]int{0, 10, 10, 10, wholeMost}).Draw(rt, "size")}
	if n := m.pick(rt, allStates...); n != nil && m.srv != nil && rapid.Bool().Draw(rt, "replaces it") {
		msg.replaces = n.id
	}
	m.messages = append(m.messages, msg)
	m.submit(rt, msg)
}

func (m *modelled) putAgain(rt *rapid.T) {
	if len(m.messages) > 0 {
		m.submit(rt, m.messages[rapid.IntRange(0, len(m.messages)-1).Draw(rt, "message")])
	}
}

func (msg *message) header() string { return "Subject: " + msg.mark + "\r\n" }
func (msg *message) body() string   { return strings.Repeat("x", msg.size) }

func (msg *message) begin(s *Store) *Put {
	p := s.Put(Submission{MessageID: "<" + msg.mark + "@mid.test>", Sender: Path{Address: msg.mark + "@corp.test"},
		Recipients: []Path{{Address: "b@x.test"}, {Address: "c@x.test"}}}, []byte(msg.header()))
	p.Write(context.Background(), []byte(msg.body()))
	return p
}

func (msg *message) terms() Terms {
	t := Terms{Rule: "default", Grace: time.Hour}
	if msg.now {
		t.Grace = 0
	}
	if msg.replaces != "" {
		t.Replaces = []string{msg.replaces}
	}
	return t
}

// submit puts a message. Somebody else may have the ID that its hold is to have.
func (m *modelled) submit(rt *rapid.T, msg *message) {
	g, f := m.any(rt), &flight{puts: msg}
	p := msg.begin(g.Store)
	if n := m.pick(rt, allStates...); n != nil && n.message != msg && m.srv != nil &&
		rapid.IntRange(0, 7).Draw(rt, "its ID is taken") == 7 {
		p.id = n.id
		m.mixed = append(m.mixed, n.id)
	}
	before := slices.Clone(m.holds)
	var r Committed
	err := m.tries(rt, g, p.id, func(ctx context.Context) (err error) {
		r, err = p.Commit(ctx, msg.terms())
		return err
	}, f)
	switch {
	case err == nil:
		m.drop(f)
		m.acknowledged(rt, msg, r, before)
	case errors.Is(err, ErrUnavailable) && strings.Contains(err.Error(), "held, a retry will find it"):
		msg.perhaps++
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknown), errors.Is(err, ErrNotDurable):
		m.drop(f)
		m.refused(rt, msg, err)
	default:
		rt.Fatal(err)
	}
}

func (m *modelled) acknowledged(rt *rapid.T, msg *message, r Committed, before []*known) {
	n := m.of(r.ID)
	switch {
	case n == nil:
		rt.Fatalf("message %s is acknowledged as %s, which is not there", msg.mark, r.ID)
	case n.message != msg:
		rt.Fatalf("message %s is acknowledged as %s, which is message %s", msg.mark, r.ID, n.mark)
	case slices.Contains(before, n) != r.Found && slices.Contains(before, n):
		rt.Fatalf("message %s is said to be new, and was there as %s", msg.mark, r.ID)
	}
	n.owed, n.receipt = true, r
	if old := m.of(msg.replaces); old != nil && old.by == n.id {
		old.by, old.back = "", [2]bool{!old.at.cut, !old.at.cut}
	}
}

// refused: what is held of the message must be somebody else's.
func (m *modelled) refused(rt *rapid.T, msg *message, err error) {
	others := m.putting(msg) + msg.perhaps
	for _, n := range m.holds {
		if n.message != msg || n.owed {
			continue
		}
		if others--; others < 0 {
			rt.Fatalf("message %s is held as %s, and who put it was told: %v", msg.mark, n.id, err)
		}
	}
}

func (m *modelled) confirm(rt *rapid.T) {
	if n := m.pick(rt, allStates...); n != nil && n.receipt.ID != "" {
		n.confirmed = true
		m.any(rt).Confirm(n.receipt)
	}
}

// told notes what a person was told about the recipients, and returns the state that was looked at.
func (m *modelled) told(rt *rapid.T, n *known) State {
	var h *Hold
	m.surely(rt, func() (err error) { h, err = m.reader.Get(m.ctx, n.id); return err })
	n.owed, n.by = true, ""
	for i, r := range h.Results {
		n.back[i] = r.Outcome == TakenBack
	}
	return h.State
}

func (m *modelled) recall(rt *rapid.T) {
	n := m.pick(rt, allStates...)
	if n == nil {
		return
	}
	err := m.acts(rt, m.any(rt), &flight{on: n, do: recalled}, func(ctx context.Context, s *Store) error {
		_, err := s.Recall(ctx, n.id, alice)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotNow) {
		return
	}
	if m.told(rt, n) == Recalled && n.back[1] == n.at.cut { // somebody else may have restored it meanwhile
		rt.Fatalf("%s: told of its recipients: %v, and it was cut off: %v", n.id, n.back, n.at.cut)
	}
}

func (m *modelled) recallOnly(rt *rapid.T) {
	n := m.pick(rt, allStates...)
	if n == nil {
		return
	}
	err := m.acts(rt, m.any(rt), &flight{on: n, do: recalledForB}, func(ctx context.Context, s *Store) error {
		_, err := s.RecallOnly(ctx, n.id, []string{"B@x.test"}, alice)
		return err
	})
	if err == nil || errors.Is(err, ErrNotNow) {
		m.told(rt, n)
	}
}

func (m *modelled) releaseNow(rt *rapid.T) {
	m.person(rt, dueNow, func(ctx context.Context, s *Store, id string) error {
		_, err := s.Release(ctx, id, alice)
		return err
	})
}

func (m *modelled) extend(rt *rapid.T) {
	m.person(rt, dueLater, func(ctx context.Context, s *Store, id string) error {
		_, err := s.Extend(ctx, id, time.Hour, alice)
		return err
	})
}

// person does something to any hold.
func (m *modelled) person(rt *rapid.T, do arrow, act func(ctx context.Context, s *Store, id string) error) {
	n := m.pick(rt, allStates...)
	if n == nil {
		return
	}
	err := m.acts(rt, m.any(rt), &flight{on: n, do: do},
		func(ctx context.Context, s *Store) error { return act(ctx, s, n.id) })
	n.owed = n.owed || err == nil
}

func (m *modelled) restore(rt *rapid.T) {
	n := m.pick(rt, allStates...)
	if n == nil {
		return
	}
	f := &flight{on: n, do: restored(n.now), then: func() { n.back, n.by = [2]bool{n.back[0] && n.at.left == 1}, "" }}
	err := m.acts(rt, m.any(rt), f, func(ctx context.Context, s *Store) error {
		_, err := s.Restore(ctx, n.id, alice)
		return err
	})
	n.owed = n.owed || err == nil
}

func (m *modelled) claimSome(rt *rapid.T) {
	g, most := m.any(rt), rapid.IntRange(1, 100).Draw(rt, "at most")
	f := &flight{claims: true, do: claimed}
	var claims []*Claim
	err := m.tries(rt, g, "", func(ctx context.Context) (err error) {
		claims, err = g.Claim(ctx, most)
		return err
	}, f)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		rt.Fatal(err)
	}
	for _, c := range claims {
		m.owns(rt, f, g, c)
	}
	if err != nil {
		return
	}
	for _, n := range m.holds {
		if len(claims) == 0 && n.at.state == Held && n.at.due || slices.Contains(f.took, n) && n.claim == nil {
			rt.Fatalf("%s is %+v, and was not among what was claimed", n.id, n.at)
		}
	}
}

// owns notes a claim that a gateway heard of.
func (m *modelled) owns(rt *rapid.T, f *flight, g *gateway, c *Claim) {
	n := m.of(c.ID)
	if n == nil || !slices.Contains(f.took, n) {
		rt.Fatalf("claimed %s, which was not due", c.ID)
	}
	n.claim = c
	m.claims = append(m.claims, &claim{c, n, g})
}

// owner is somebody with a claim, which may be lost.
func (m *modelled) owner(rt *rapid.T) *claim {
	if len(m.claims) == 0 {
		return nil
	}
	c := m.claims[rapid.IntRange(0, len(m.claims)-1).Draw(rt, "claim")]
	if c.g == m.stuck {
		return nil
	}
	return c
}

func (c *claim) owns() bool { return c.n.at.state == Releasing && c.n.claim == c.Claim }

// settle sends the message, or tries to, and says so.
func (m *modelled) settle(rt *rapid.T) {
	c := m.owner(rt)
	if c == nil {
		return
	}
	sent := rapid.Bool().Draw(rt, "sent") || c.owns() && c.n.sending
	st := Settlement{Results: map[int]Result{}, RetryIn: time.Hour}
	to := func(p *spot) { p.state, p.due = Held, false }
	if sent {
		st.RetryIn, to = 0, func(p *spot) { p.state, p.due = Released, false }
	}
	for i, r := range c.Results {
		switch {
		case r.Outcome != Pending:
		case !sent:
			st.Results[i] = Result{Outcome: Pending, Detail: "450"}
		default:
			if st.Results[i] = (Result{Outcome: Sent, At: time.Now()}); c.owns() && c.n.back[i] {
				rt.Fatalf("%s was recalled for %d, and is sent", c.n.id, i)
			}
		}
	}
	c.n.sending = c.n.sending || sent && c.owns()
	f := &flight{on: c.n, do: byOwner(c.n, c.Claim, to)}
	if rapid.Bool().Draw(rt, "goes on") {
		m.settleNext(rt, c, f, st)
		return
	}
	m.acts(rt, c.g, f, func(ctx context.Context, s *Store) error { return s.Settle(ctx, c.Claim, st) })
}

func (m *modelled) settleNext(rt *rapid.T, c *claim, f *flight, st Settlement) {
	var next *Claim
	claims := &flight{claims: true, do: claimed, gives: true}
	err := m.acts(rt, c.g, f, func(ctx context.Context, s *Store) (err error) {
		next, err = s.SettleNext(ctx, c.Claim, st)
		return err
	}, claims)
	if next != nil {
		m.owns(rt, claims, c.g, next)
	}
	for _, n := range claims.took {
		if err == nil && n.at.state == Releasing && n.claim == nil {
			rt.Fatalf("%s is claimed, and nobody was told", n.id)
		}
	}
}

func (m *modelled) giveBack(rt *rapid.T) {
	if c := m.owner(rt); c != nil && !(c.owns() && c.n.sending) {
		do := byOwner(c.n, c.Claim, func(p *spot) { p.state = Held })
		m.acts(rt, c.g, &flight{on: c.n, do: do},
			func(ctx context.Context, s *Store) error { return s.GiveBack(ctx, c.Claim) })
	}
}

func (m *modelled) renew(rt *rapid.T) {
	if c := m.owner(rt); c != nil {
		do := byOwner(c.n, c.Claim, func(*spot) {})
		m.acts(rt, c.g, &flight{on: c.n, do: do}, func(ctx context.Context, s *Store) error { return s.Renew(ctx, c.Claim) })
	}
}

// expire ends one lease early, as time would, and from then on anybody may take it back.
func (m *modelled) expire(rt *rapid.T) {
	n, g := m.pick(rt, Releasing), m.any(rt)
	if n == nil {
		return
	}
	f := m.endLease(rt, n)
	m.tries(rt, g, "", func(ctx context.Context) error {
		_, err := g.Reap(ctx)
		return err
	}, f)
}

func (m *modelled) endLease(rt *rapid.T, n *known) *flight {
	m.surely(rt, func() error {
		return m.reader.nodes.Client.ZAdd(m.ctx, stateKey(m.reader.nodes.Of(n.id), Releasing),
			redis.Z{Score: 1, Member: n.id}).Err()
	})
	return &flight{on: n, do: leaseExpired, stays: true}
}

// pass lets a message through to which nothing else happens: its record comes onto a shelf.
func (m *modelled) pass(rt *rapid.T) {
	msg := &message{mark: fmt.Sprint("m", len(m.messages)), now: true, size: 10}
	m.messages = append(m.messages, msg)
	m.submit(rt, msg)
	m.look(rt)
	m.allLeave(rt)
}

// note writes into a record, which takes it off its shelf.
func (m *modelled) note(rt *rapid.T) {
	n := m.pick(rt, Released)
	if n == nil {
		return
	}
	m.acts(rt, m.any(rt), &flight{on: n, do: noted}, func(ctx context.Context, s *Store) error {
		return s.Note(ctx, n.id, Event{Verb: "noted"})
	})
}

// forget removes the record of a message that is sent or taken back, for a person or since it ends. Nothing that is
// under way may mean it.
func (m *modelled) forget(rt *rapid.T) {
	n := m.pick(rt, Released, Recalled)
	if n == nil || m.meant(n) {
		return
	}
	ends := rapid.Bool().Draw(rt, "it ends")
	m.surely(rt, func() error {
		if !ends {
			return m.reader.nodes.Run(m.ctx, m.reader.nodes.Of(n.id), forgetHoldScript, n.id).Err()
		}
		if err := m.endRecord(n); err != nil {
			return err
		}
		_, err := m.reader.Reap(m.ctx)
		return err
	})
	n.at = spot{}
	m.holds = slices.DeleteFunc(m.holds, func(other *known) bool { return other == n })
	m.surely(rt, func() error {
		h, err := m.reader.Get(m.ctx, n.id)
		if h != nil {
			rt.Fatalf("%s was forgotten, and is %s", n.id, h.State)
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}

// meant says whether something under way could do something to a hold, or make it again.
func (m *modelled) meant(n *known) bool {
	flights := slices.Clone(m.flights)
	for _, l := range m.late {
		flights = append(flights, l.fs...)
	}
	return n.by != "" || slices.ContainsFunc(m.holds, func(old *known) bool { return old.by == n.id }) ||
		slices.ContainsFunc(flights, func(f *flight) bool {
			return f.on == n || f.puts == n.message || slices.Contains(f.took, n)
		})
}

// endRecord ends a record early, as time would.
func (m *modelled) endRecord(n *known) error {
	r, at := m.reader.nodes.Client, m.reader.nodes.Of(n.id)
	keys, fields := shelfKeys(at, n.id)
	for k, key := range keys {
		value, err := r.HGet(m.ctx, key, fields[k]).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err == nil {
			err = r.HSet(m.ctx, key, fields[k], "\x00\x00\x00\x00\x00\x01"+value[6:]).Err()
		}
		if err == nil {
			err = r.ZAdd(m.ctx, endsKey(at), redis.Z{Score: 1, Member: strings.TrimSuffix(n.id, fields[k])}).Err()
		}
		return err
	}
	return r.ZAdd(m.ctx, stateKey(at, n.at.state), redis.Z{Score: 1, Member: n.id}).Err()
}

func (m *modelled) kill(*rapid.T) { m.srv.Restart() }

// cut ends all connections to Redis but one.
func (m *modelled) cut(rt *rapid.T) {
	m.surely(rt, func() error {
		return m.reader.nodes.Client.ClientKillByFilter(m.ctx, "TYPE", "normal", "SKIPME", "yes").Err()
	})
}

// die ends a gateway, and another takes its place. Its claims are nobody's.
func (m *modelled) die(rt *rapid.T) {
	i := rapid.IntRange(0, len(m.gateways)-1).Draw(rt, "gateway")
	g := m.gateways[i]
	g.end()
	m.claims = slices.DeleteFunc(m.claims, func(c *claim) bool { return c.g == g })
	m.gateways[i] = m.gateway(rt)
}

func (m *modelled) arrive(rt *rapid.T) {
	if len(m.late) == 0 {
		return
	}
	m.arrives(rt, m.late[rapid.IntRange(0, len(m.late)-1).Draw(rt, "late")])
}

func (m *modelled) arrives(rt *rapid.T, l *late) {
	for _, f := range l.fs {
		m.latest(f)
	}
	l.arrive()
	m.look(rt)
	m.late = slices.DeleteFunc(m.late, func(other *late) bool { return other == l })
	for _, f := range l.fs {
		m.done(f)
	}
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/recall-milter/recall-milter/test/server"
)

// chart is the contract's picture of the states: where each hold stands, for messages with two recipients.
type chart struct {
	state map[string]State
	due   map[string]bool   // now; else in an hour
	left  map[string]int    // recipients who were not recalled
	cut   map[string]bool   // an attempt was cut off: nobody knows whether it sent
	fresh map[string]string // marks of holds that the MTA has not confirmed; an identical message is the same
	claim map[string]*Claim
}

func (p *chart) ids(states ...State) []string {
	ids := slices.Sorted(maps.Keys(p.state))
	return slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(states, p.state[id]) })
}

// step is what a person does to a hold: it must be held. It says which error the store owes otherwise.
func (p *chart) step(id string, do func()) error {
	switch p.state[id] {
	case Held:
		do()
		return nil
	case Releasing, Released:
		return ErrTooLate
	}
	return ErrNotNow
}

func (p *chart) recall(id string)            { p.state[id], p.due[id], p.left[id] = Recalled, false, 0 }
func (p *chart) hold(id string, due bool)    { p.state[id], p.due[id], p.left[id] = Held, due, 2 }
func (p *chart) again(id string, due bool)   { p.state[id], p.due[id] = Held, due }
func (p *chart) release(id string, c *Claim) { p.state[id], p.claim[id] = Releasing, c }

// recalledAs is what a recipient of a recalled hold gets to hear.
func (p *chart) recalledAs(id string) Outcome {
	if p.cut[id] {
		return Unknown
	}
	return TakenBack
}

// Whatever several clients do to the store, in any order, it is always where the picture says.
func TestTheStoreIsThePictureOfItsStates(t *testing.T) {
	t.Parallel()
	addr := server.StartRedis(t).Addr
	checkPicture(t, Options{Addresses: []string{addr}})
}

func TestTheStoreOfAClusterIsThePictureOfItsStates(t *testing.T) {
	t.Parallel()
	c := server.StartCluster(t, server.Never)
	checkPicture(t, Options{Addresses: c.Addrs(), Replicas: 1})
}

func checkPicture(t *testing.T, o Options) {
	o.Durability = "strict"
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		o.Prefix = fmt.Sprint("model", runs)
		m := &modelled{ctx: context.Background(), prints: map[string]string{}, p: &chart{map[string]State{}, map[string]bool{}, map[string]int{}, map[string]bool{}, map[string]string{}, map[string]*Claim{}}}
		for range 3 {
			s, err := Open(o)
			if err != nil {
				rt.Fatal(err)
			}
			defer s.Close()
			m.clients = append(m.clients, s)
		}
		rt.Repeat(map[string]func(*rapid.T){"put": m.put, "put again": m.putAgain, "confirm": m.confirm, "recall": m.recall,
			"recall for one": m.recallOnly, "release now": m.releaseNow, "extend": m.extend, "restore": m.restore, "claim": m.claimAll,
			"settle": m.settle, "give back": m.giveBack, "lease expires": m.expire, "": m.agrees})
	})
}

// modelled is some clients of a store beside the picture of it.
type modelled struct {
	ctx     context.Context
	clients []*Store
	p       *chart
	prints  map[string]string // fingerprints by hold
	n       int
}

func (m *modelled) any(rt *rapid.T) *Store { return rapid.SampledFrom(m.clients).Draw(rt, "client") }

func (m *modelled) hold(rt *rapid.T, states ...State) string {
	if len(states) == 0 {
		states = allStates
	}
	ids := m.p.ids(states...)
	if len(ids) == 0 {
		rt.Skip("no such hold")
	}
	return rapid.SampledFrom(ids).Draw(rt, "hold")
}

func same(rt *rapid.T, got, want error) {
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		rt.Fatalf("the store says %v, the picture %v", got, want)
	}
}

func (m *modelled) submit(rt *rapid.T, mark string, now bool) Receipt {
	grace := map[bool]time.Duration{true: 0, false: time.Hour}[now]
	sub := Submission{MessageID: "<" + mark + "@mid.test>", Sender: Path{Address: mark + "@corp.test"},
		Recipients: []Path{{Address: "b@x.test"}, {Address: "c@x.test"}}}
	for s := m.any(rt); ; {
		r, err := s.Put(sub, []byte("Subject: "+mark+"\r\n")).Commit(m.ctx, Terms{Rule: "default", Grace: grace})
		switch {
		case err == nil:
			return r
		case !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotDurable): // else the machine is under load, and a client tries again
			rt.Fatal(err)
		}
	}
}

func (m *modelled) put(rt *rapid.T) {
	m.n++
	now := rapid.Bool().Draw(rt, "due now")
	r := m.submit(rt, fmt.Sprint(m.n), now)
	m.p.hold(r.ID, now)
	m.prints[r.ID] = r.print
	m.p.fresh[r.ID] = fmt.Sprint(m.n)
}

func (m *modelled) putAgain(rt *rapid.T) {
	ids := slices.Sorted(maps.Keys(m.p.fresh))
	if len(ids) == 0 {
		rt.Skip("all are confirmed")
	}
	id := rapid.SampledFrom(ids).Draw(rt, "hold")
	if r := m.submit(rt, m.p.fresh[id], true); !r.Found || r.ID != id {
		rt.Fatalf("the same message again is %+v, not %s", r, id)
	}
}

func (m *modelled) confirm(rt *rapid.T) {
	s, id := m.any(rt), m.hold(rt)
	if err := s.confirmNow(m.ctx, s.of(id), []confirmation{{id, m.prints[id]}}); err != nil {
		rt.Fatal(err)
	}
	delete(m.p.fresh, id)
}

func (m *modelled) recall(rt *rapid.T) {
	id := m.hold(rt)
	h, err := m.any(rt).Recall(m.ctx, id, alice)
	same(rt, err, m.p.step(id, func() { m.p.recall(id) }))
	if err == nil && h.Results[1].Outcome != m.p.recalledAs(id) {
		rt.Fatalf("recalled as %+v, and it was cut off: %v", h.Results[1], m.p.cut[id])
	}
}

func (m *modelled) recallOnly(rt *rapid.T) {
	id := m.hold(rt)
	if m.p.state[id] == Held && m.p.left[id] == 1 {
		rt.Skip("b is recalled already")
	}
	_, err := m.any(rt).RecallOnly(m.ctx, id, []string{"B@x.test"}, alice)
	same(rt, err, m.p.step(id, func() { m.p.left[id] = 1 }))
}

func (m *modelled) releaseNow(rt *rapid.T) {
	id := m.hold(rt)
	_, err := m.any(rt).Release(m.ctx, id, alice)
	same(rt, err, m.p.step(id, func() { m.p.due[id] = true }))
}

func (m *modelled) extend(rt *rapid.T) {
	id := m.hold(rt)
	_, err := m.any(rt).Extend(m.ctx, id, time.Hour, alice)
	same(rt, err, m.p.step(id, func() { m.p.due[id] = false }))
}

func (m *modelled) restore(rt *rapid.T) {
	id := m.hold(rt)
	h, _ := m.any(rt).Get(m.ctx, id)
	_, err := m.any(rt).Restore(m.ctx, id, alice)
	if m.p.state[id] != Recalled {
		same(rt, err, ErrNotNow)
		return
	}
	same(rt, err, nil)
	m.p.hold(id, h.Grace == 0)
}

func (m *modelled) claimAll(rt *rapid.T) {
	s := m.any(rt)
	for {
		claims, err := s.Claim(m.ctx, 100)
		if errors.Is(err, ErrUnavailable) { // the machine is under load
			continue
		}
		if err != nil {
			rt.Fatal(err)
		}
		for _, c := range claims {
			if m.p.state[c.ID] != Held || !m.p.due[c.ID] {
				rt.Fatalf("claimed %s, which is %s and due is %v", c.ID, m.p.state[c.ID], m.p.due[c.ID])
			}
			m.p.release(c.ID, c)
		}
		if len(claims) == 0 {
			break
		}
	}
	if left := slices.DeleteFunc(m.p.ids(Held), func(id string) bool { return !m.p.due[id] }); len(left) > 0 {
		rt.Fatalf("due, and not claimed: %v", left)
	}
}

func (m *modelled) settle(rt *rapid.T) {
	id := m.hold(rt, Releasing)
	sent := rapid.Bool().Draw(rt, "sent")
	st := Settlement{Results: map[int]Result{}, RetryIn: time.Hour}
	if sent {
		st.RetryIn = 0
	}
	for n, r := range m.p.claim[id].Results {
		switch {
		case r.Outcome == TakenBack || r.Outcome == Unknown:
		case sent:
			st.Results[n] = Result{Outcome: Sent, At: time.Now()}
		default:
			st.Results[n] = Result{Outcome: Pending, Detail: "450"}
		}
	}
	same(rt, m.any(rt).Settle(m.ctx, m.p.claim[id], st), nil)
	if m.p.state[id] = Released; !sent {
		m.p.again(id, false)
	}
	same(rt, m.any(rt).Settle(m.ctx, m.p.claim[id], st), ErrLost)
}

func (m *modelled) giveBack(rt *rapid.T) {
	id := m.hold(rt, Releasing)
	same(rt, m.any(rt).GiveBack(m.ctx, m.p.claim[id]), nil)
	m.p.again(id, true)
}

// expire ends one lease early, as time would.
func (m *modelled) expire(rt *rapid.T) {
	id, s := m.hold(rt, Releasing), m.any(rt)
	if err := s.redis.ZAdd(m.ctx, s.of(id).state(Releasing), redis.Z{Score: 1, Member: id}).Err(); err != nil {
		rt.Fatal(err)
	}
	if r, err := s.Reap(m.ctx); err != nil || r.LeasesExpired != 1 {
		rt.Fatalf("reaped %+v, %v", r, err)
	}
	m.p.again(id, true)
	m.p.cut[id] = true
	same(rt, s.Renew(m.ctx, m.p.claim[id]), ErrLost)
}

// agrees compares the store with the picture, after each step.
func (m *modelled) agrees(rt *rapid.T) {
	for id, want := range m.p.state {
		h, err := m.any(rt).Get(m.ctx, id)
		if err != nil || h.State != want {
			rt.Fatalf("%s: %v %v, the picture says %s", id, h, err, want)
		}
		if back := h.Results[0].Outcome == TakenBack || h.Results[0].Outcome == Unknown; back != (m.p.left[id] < 2) {
			rt.Fatalf("%s: b's result is %+v, and %d are left", id, h.Results[0], m.p.left[id])
		}
	}
	s, err := m.any(rt).Stats(m.ctx)
	if err != nil {
		rt.Fatal(err)
	}
	for _, state := range allStates {
		if s.Count[state] != len(m.p.ids(state)) {
			rt.Fatalf("%d are counted as %s, the picture has %d", s.Count[state], state, len(m.p.ids(state)))
		}
	}
}

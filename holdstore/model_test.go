package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// Whatever several gateways do to the store, in any order, and whatever befalls Redis, their connections and themselves
// meanwhile, the store is always where the picture says, or where something leads of which nobody has heard the end.
func TestTheStoreIsThePictureOfItsStates(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	checkPicture(t, srv, Options{Addresses: []string{srv.Addr}}, 10*time.Second)
}

func TestTheStoreOfAClusterIsThePictureOfItsStates(t *testing.T) {
	t.Parallel()
	c := server.StartCluster(t, server.Never)
	checkPicture(t, nil, Options{Addresses: c.Addrs(), Replicas: 1}, 4*time.Second)
}

// checkPicture does all of -rapid.checks in "make torture", and else those for which there is time.
func checkPicture(t *testing.T, srv *server.Redis, o Options, short time.Duration) {
	o.Durability = "strict"
	runs, shelved, begin := 0, 0, time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		if !long() && time.Since(begin) > short {
			return
		}
		runs++
		o.Prefix = fmt.Sprint("model", runs)
		m := &modelled{ctx: context.Background(), t: t, srv: srv, opt: o}
		defer m.close()
		m.reader = m.open(rt, o)
		for range 3 {
			m.gateways = append(m.gateways, m.gateway(rt))
		}
		steps := m.steps()
		steps[""] = m.look
		m.put(rt)
		m.put(rt)
		rt.Repeat(steps)
		m.end(rt)
		shelved += m.shelved
	})
	t.Logf("%d lives of a store in %v, with %d records on shelves", runs, time.Since(begin).Round(time.Millisecond),
		shelved)
	if runs > 20 && shelved < runs/2 {
		t.Error("shelves are hardly tested")
	}
}

// modelled is the store next to the picture of it.
type modelled struct {
	chart
	ctx      context.Context
	t        *testing.T
	srv      *server.Redis // nil: nothing befalls anybody
	opt      Options
	gateways []*gateway
	reader   *Store // nothing befalls it but what befalls Redis
	messages []*message
	claims   []*claim
	late     []*late
	calm     bool     // an accident is enough
	mixed    []string // IDs that a message was to have while another had it
	shelved  int      // the most records that were on shelves at a time
	stuck    *gateway // at an accident: what it asks for everybody who works with it waits too
}

// gateway is a client of the store, with its line.
type gateway struct {
	*Store
	line *wire
}

// claim is what a gateway was told that it has.
type claim struct {
	*Claim
	n *known
	g *gateway
}

// late is a request under way, and what it does.
type late struct {
	*parcel
	fs []*flight
}

func (m *modelled) steps() map[string]func(*rapid.T) {
	steps := map[string]func(*rapid.T){"put": m.put, "put again": m.putAgain, "confirm": m.confirm, "recall": m.recall,
		"recall for one": m.recallOnly, "release now": m.releaseNow, "extend": m.extend, "restore": m.restore,
		"claim": m.claimSome, "forget": m.forget, "pass": m.pass, "note": m.note,
		"settle": m.settle, "give back": m.giveBack, "renew": m.renew, "lease expires": m.expire}
	if m.srv != nil {
		steps["redis is killed"] = m.kill
		steps["connections are cut"] = m.cut
		steps["a gateway dies"] = m.die
		steps["what is late arrives"] = m.arrive
	}
	return steps
}

func (m *modelled) open(rt *rapid.T, o Options) *Store {
	s, err := Open(o)
	if err != nil {
		rt.Fatal(err)
	}
	return s
}

func (m *modelled) gateway(rt *rapid.T) *gateway {
	if m.srv == nil {
		return &gateway{Store: m.open(rt, m.opt)}
	}
	g, o := &gateway{line: startWire(m.t, m.srv.Addr)}, m.opt
	o.Addresses = []string{g.line.addr}
	g.Store = m.open(rt, o)
	return g
}

func (g *gateway) end() {
	if g.line != nil {
		g.line.end()
	}
	g.Close()
}

func (m *modelled) close() {
	for _, g := range m.gateways {
		g.end()
	}
	if m.reader != nil {
		m.reader.Close()
	}
}

func (m *modelled) any(rt *rapid.T) *gateway {
	i := rapid.IntRange(0, len(m.gateways)-1).Draw(rt, "gateway")
	if m.gateways[i] == m.stuck {
		i = (i + 1) % len(m.gateways)
	}
	return m.gateways[i]

}

// pick is a hold in one of the states; nil: there is none.
func (m *modelled) pick(rt *rapid.T, states ...State) *known {
	all := slices.DeleteFunc(slices.Clone(m.holds), func(n *known) bool { return !slices.Contains(states, n.at.state) })
	if len(all) == 0 {
		return nil
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(rt, "hold")]
}

// surely does something that a Redis which has just been killed may refuse for once.
func (m *modelled) surely(rt *rapid.T, do func() error) {
	for end := time.Now().Add(time.Minute); ; {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(nodes.Explain(err), ErrUnavailable) && !errors.Is(err, ErrNotDurable) || time.Now().After(end) {
			rt.Fatal(err)
		}
	}
}

// tries has a gateway do something, while something befalls its line, and returns what the gateway hears.
func (m *modelled) tries(rt *rapid.T, g *gateway, marker string, do func(ctx context.Context) error,
	fs ...*flight) (err error) {
	m.flights = append(m.flights, fs...)
	for _, f := range fs {
		f.busy = true
	}
	m.may()
	ctx, giveUp := context.WithCancel(m.ctx)
	defer giveUp()
	accidents, killed := m.accidents(rt, marker)
	if m.srv != nil {
		g.line.expect(accidents...)
		defer g.line.expect()
		defer free(accidents)
	}
	heard := make(chan error, 1)
	go func() { heard <- do(ctx) }()
	if killed > 0 {
		time.Sleep(killed) // any moment will do: nothing is waited for
		m.srv.Kill()
		err = <-heard
		m.srv.Start()
	} else {
		err = m.hears(rt, g, fs, accidents, giveUp, heard)
	}
	rt.Logf("heard: %v", err)
	m.look(rt)
	for _, f := range fs {
		f.busy = false
		m.done(f)
	}
	return err
}

// hears waits for what the gateway hears, and has others do something at each accident.
func (m *modelled) hears(rt *rapid.T, g *gateway, fs []*flight, accidents []*accident, giveUp func(),
	heard chan error) error {
	for _, a := range accidents {
		select {
		case err := <-heard:
			return err
		case <-a.at:
		}
		for _, p := range g.line.lost() {
			m.late = append(m.late, &late{p, fs})
		}
		m.look(rt)
		m.others(rt, g, fs[0].puts)
		if fs[0].puts != nil && a.what == delay && rapid.Bool().Draw(rt, "gives up") {
			g.line.expect() // nothing more
			giveUp()
			return m.gaveUp(g, a, heard)
		}
		a.goOn()
	}
	return <-heard
}

// gaveUp is what the gateway hears that did not wait for an answer to its commit, which comes nevertheless.
func (m *modelled) gaveUp(g *gateway, a *accident, heard chan error) (err error) {
	select {
	case err = <-heard:
		a.goOn()
	case <-time.After(time.Second): // it has not sent the commit yet, and waits for that
		a.goOn()
		err = <-heard
	}
	server.Eventually(m.t, "nothing is on its way", func() bool {
		l := g.commits[g.nodes.Shards[0]]
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.going == 0
	})
	return err
}

// others do something in the middle of an accident: perhaps somebody submits the message again that is at its commit.
func (m *modelled) others(rt *rapid.T, g *gateway, puts *message) {
	m.calm = true
	if puts == nil {
		m.stuck = g
	}
	defer func() { m.calm, m.stuck = false, nil }()
	if puts != nil && rapid.Bool().Draw(rt, "the same again") {
		m.submit(rt, puts)
		m.look(rt)
	}
	steps := m.steps()
	delete(steps, "a gateway dies")
	names := []string{}
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	for range rapid.IntRange(0, 2).Draw(rt, "acts of others") {
		steps[rapid.SampledFrom(names).Draw(rt, "meanwhile")](rt)
		m.look(rt)
	}
}

// accidents are what is to befall a line: nothing, something, or two things; or Redis is killed after so long.
func (m *modelled) accidents(rt *rapid.T, marker string) (all []*accident, killed time.Duration) {
	if m.srv == nil || m.calm {
		return nil, 0
	}
	n := rapid.SampledFrom([]int{0, 0, 0, 1, 1, 1, 2, 2, 3}).Draw(rt, "accidents")
	if n == 3 {
		return nil, time.Duration(rapid.IntRange(1, 3000).Draw(rt, "killed after")) * time.Microsecond
	}
	for range n {
		what := rapid.SampledFrom([]mishap{replyLost, requestLate, requestLost, requestHalf, replyHalf, delay}).Draw(rt,
			"accident")
		all = append(all,
			newAccident(what, marker, rapid.IntRange(0, 2).Draw(rt, "after"), rapid.IntRange(1, 99).Draw(rt, "part")))
	}
	return all, 0
}

// free ends what has not happened, or what a request in the background met.
func free(all []*accident) {
	for _, a := range all {
		a.once.Do(func() { close(a.on) })
	}
}

// done forgets a flight, unless something of it is under way.
func (m *modelled) done(f *flight) {
	if f.busy || f.stays && !f.seen ||
		slices.ContainsFunc(m.late, func(l *late) bool { return slices.Contains(l.fs, f) }) {
		return
	}
	m.drop(f)
}

func (m *modelled) may() {
	for _, f := range m.flights {
		f.may()
	}
}

// acts has a gateway do something to a hold, and judges what it hears.
func (m *modelled) acts(rt *rapid.T, g *gateway, f *flight, do func(ctx context.Context, s *Store) error,
	more ...*flight) error {
	n := f.on
	err := m.tries(rt, g, "", func(ctx context.Context) error { return do(ctx, g.Store) }, append(more, f)...)
	switch {
	case err == nil && !f.seen && !f.idle:
		rt.Fatalf("%s: the store says that it is done, and it is %+v", n.id, n.at)
	case err == nil, errors.Is(err, ErrUnavailable):
	case f.seen, !f.owed(err):
		rt.Fatalf("%s: the store says %v, it was done: %v, and it owes one of %v", n.id, err, f.seen, f.owes)
	}
	return err
}

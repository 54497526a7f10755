package holdstore

import (
	"errors"
	"slices"
)

// spot is where a hold stands in the contract's picture of the states, of a message with two recipients. Without a
// state there is no hold.
type spot struct {
	state State
	due   bool // now; else in an hour
	left  int  // recipients that are not recalled
	again int  // of a recalled one, those whom a restore gives it back
	cut   bool // an attempt was cut off: nobody knows whether it sent
}

// arrow is one of the picture. Where it does not begin it says which error the store owes.
type arrow func(spot) (spot, error)

// ofHeld is what a person does to a hold: it must be held.
func ofHeld(do func(p *spot)) arrow {
	return func(p spot) (spot, error) {
		switch p.state {
		case Held:
			do(&p)
			return p, nil
		case Releasing, Released:
			return p, ErrTooLate
		case Recalled:
			return p, ErrNotNow
		}
		return p, ErrNotFound
	}
}

var (
	recalled = ofHeld(func(p *spot) { p.state, p.due, p.left, p.again = Recalled, false, 0, p.left })
	dueNow   = ofHeld(func(p *spot) { p.due = true })
	dueLater = ofHeld(func(p *spot) { p.due = false })
)

func noted(p spot) (spot, error) {
	if p.state == "" {
		return p, ErrNotFound
	}
	return p, nil
}

func recalledForB(p spot) (spot, error) {
	if p.state == Held && p.left == 1 {
		return p, ErrNotNow
	}
	return ofHeld(func(p *spot) { p.left = 1 })(p)
}

func restored(now bool) arrow {
	return func(p spot) (spot, error) {
		switch p.state {
		case Recalled:
			return spot{state: Held, due: now, left: p.again, cut: p.cut}, nil
		case "":
			return p, ErrNotFound
		}
		return p, ErrNotNow
	}
}

func claimed(p spot) (spot, error) {
	if p.state != Held || !p.due {
		return p, ErrNotNow
	}
	p.state = Releasing
	return p, nil
}

// byOwner is what somebody does with a claim, whose hold must still be theirs.
func byOwner(n *known, c *Claim, do func(p *spot)) arrow {
	return func(p spot) (spot, error) {
		if p.state != Releasing || n.claim != c {
			return p, ErrLost
		}
		do(&p)
		return p, nil
	}
}

func leaseExpired(p spot) (spot, error) {
	if p.state != Releasing {
		return p, ErrLost
	}
	return spot{state: Held, due: true, left: p.left, cut: true}, nil
}

// message is what clients submit, and submit again.
type message struct {
	mark     string
	now      bool // without grace; else with an hour
	size     int
	replaces string
	perhaps  int // how often nobody knew whether it is held
}

// known is a hold and what is known of it.
type known struct {
	*message
	id        string
	at        spot
	receipt   Committed
	owed      bool    // somebody relies on it: who was told that it is held, or that something was done to it
	confirmed bool    // perhaps: an identical message may be a new one
	claim     *Claim  // of its owner; nil: nobody has heard that it is theirs
	sending   bool    // the owner has begun
	back      [2]bool // recipients of whom somebody was told that they won't get it
	by        string  // the hold that took its place, as long as that may be fenced off
	before    spot    // and where it stood then
}

// flight is something that is being done, or that may still be done since nobody has heard of its end.
type flight struct {
	on    *known
	do    arrow
	then  func()
	seen  bool    // it was done
	idle  bool    // it could be done so far without changing anything
	owes  []error // what the store could say to it so far
	busy  bool    // somebody waits for its end
	stays bool    // until it is done

	puts   *message // or this
	claims bool     // or it takes whatever is due
	gives  bool     // and may give it back
	took   []*known
}

// may notes what the store could say now.
func (f *flight) may() {
	if f.on != nil && !f.seen {
		p, err := f.do(f.on.at)
		f.owes = append(f.owes, err)
		f.idle = f.idle || err == nil && p == f.on.at
	}
}

func (f *flight) owed(err error) bool {
	return slices.ContainsFunc(f.owes, func(owed error) bool { return owed != nil && errors.Is(err, owed) })
}

// chart is the picture with all holds in it.
type chart struct {
	holds   []*known
	flights []*flight
}

func (c *chart) of(id string) *known {
	for _, n := range c.holds {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (c *chart) drop(f *flight) {
	c.flights = slices.DeleteFunc(c.flights, func(other *flight) bool { return other == f })
}

// latest makes a flight the last that began.
func (c *chart) latest(f *flight) {
	if slices.Contains(c.flights, f) {
		c.drop(f)
		c.flights = append(c.flights, f)
	}
}

// putting counts who may still make a hold of a message, or undo it.
func (c *chart) putting(m *message) (n int) {
	for _, f := range c.flights {
		if f.puts == m {
			n++
		}
	}
	return n
}

// moves takes a hold to where it was seen, if something under way leads there, the last that began before others.
func (c *chart) moves(n *known, to spot) bool {
	if n.at == to {
		return true
	}
	for _, f := range slices.Backward(c.flights) {
		if f.on == n && !f.seen || f.claims {
			if p, err := f.do(n.at); err == nil && p == to {
				f.did(n, to)
				return true
			}
		}
		back := spot{state: Held, due: true, left: n.at.left, cut: n.at.cut}
		if f.gives && slices.Contains(f.took, n) && n.claim == nil && to == back {
			n.at = back
			return true
		}
	}
	return false
}

func (f *flight) did(n *known, to spot) {
	n.at = to
	if f.claims {
		n.claim, n.sending = nil, false
		f.took = append(f.took, n)
		return
	}
	if f.seen = true; f.then != nil {
		f.then()
	}
}

package web

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// search is what a list shows.
type search struct {
	holdstore.Query
	queueID string
	limit   int
	after   place // zero: from the newest on

	each func(*holdstore.Hold) bool // is asked of each hold that fits, perhaps twice, whether it is shown; nil: all are
}

// place is where a page of a list ends: lists are the newest first.
type place struct {
	at time.Time
	id string
}

func placeOf(h *holdstore.Hold) place { return place{h.HeldAt, h.ID} }

// compare sorts places: the newest first, and of one moment by ID.
func (p place) compare(q place) int {
	return cmp.Or(q.at.Compare(p.at), strings.Compare(q.id, p.id))
}

// before says whether a hold comes behind a place in a list.
func (p place) before(h *holdstore.Hold) bool { return p.id == "" || p.compare(placeOf(h)) < 0 }

func (p place) String() string { return strconv.FormatInt(p.at.UnixMilli(), 36) + "-" + p.id }

// readPlace reads a cursor; anybody can type one, and it only says where to begin.
func readPlace(text string) (p place, ok bool) {
	at, id, ok := strings.Cut(text, "-")
	ms, err := strconv.ParseInt(at, 36, 64)
	return place{time.UnixMilli(ms), id}, ok && err == nil && id != "" && len(id) < 20
}

var (
	waiting   = []holdstore.State{holdstore.Held, holdstore.Releasing}
	anyStates = []holdstore.State{holdstore.Held, holdstore.Releasing, holdstore.Released, holdstore.Recalled}
)

// page is a part of a list.
type page struct {
	holds   []*holdstore.Hold
	more    bool
	missing string // what could not be seen; empty: nothing
}

// list finds what the caller may see of a search. With a part of the store away it says what is missing.
func (s *Server) list(ctx context.Context, c *caller, q search) (p page, err error) {
	matches, err := q.Matcher()
	if err != nil {
		return p, invalid(400, err.Error())
	}
	n := &newest{most: q.limit + 1, keep: func(h *holdstore.Hold) bool {
		fits := q.after.before(h) && matches(h) && (q.queueID == "" || h.QueueID == q.queueID) &&
			s.desk.Sees(c.Person, h)
		if fits && q.each != nil {
			fits = q.each(h)
		}
		return fits
	}}
	if c.Operator && q.queueID == "" { // whose mail it will be is not known
		if err := s.room.enter(ctx, c.name, scanBytes); err != nil {
			return p, err
		}
	}
	if q.queueID != "" {
		err = n.resolve(ctx, s.store, q.queueID)
	} else if c.Operator {
		err = n.find(ctx, s.store, q.Query, 0)
	} else {
		err = s.own(ctx, c, q, n)
	}
	switch {
	case errors.Is(err, holdstore.ErrPartial):
		p.missing = "a part of the store is away: there may be more"
	case errors.Is(err, holdstore.ErrMany):
		p.missing = "only the newest were searched"
	case err != nil:
		return p, err
	}
	p.holds = n.holds
	if p.more = len(p.holds) > q.limit; p.more {
		p.holds = p.holds[:q.limit]
	}
	return p, nil
}

// own finds what a person has sent, and what they may see as a delegate.
func (s *Server) own(ctx context.Context, c *caller, q search, n *newest) error {
	var all []holdstore.Whose
	if c.Hold != "" {
		return n.resolve(ctx, s.store, c.Hold)
	}
	if c.Login != "" {
		all = append(all, holdstore.Whose{Login: c.Login})
	}
	for _, a := range c.Addresses {
		all = append(all, holdstore.Whose{Sender: a, AnyLogin: true})
	}
	scan := false
	for _, d := range s.o.Delegates {
		if !d.Logins.Names(c.Login) {
			continue
		}
		scan = scan || d.Senders == nil
		for _, a := range d.Senders {
			all = append(all, holdstore.Whose{Sender: a, AnyLogin: true})
		}
	}
	var err error
	if scan { // whose mail it will be is not known
		err = s.room.enter(ctx, c.name, scanBytes)
	} else {
		err = s.enter(ctx, c, nil, all, q.limit)
	}
	if err != nil {
		return err
	}
	var partly error
	for _, who := range all {
		err := n.latest(ctx, s.store, who)
		if err != nil && !errors.Is(err, holdstore.ErrPartial) && !errors.Is(err, holdstore.ErrMany) {
			return err
		}
		partly = cmp.Or(partly, err)
	}
	if scan { // the rule names its senders by a pattern: nothing lists their mail
		return cmp.Or(n.find(ctx, s.store, q.Query, scanMost), partly)
	}
	return partly
}

// scanBytes is the room of a search through everybody's mail.
const scanBytes = roomBytes / 4

// scanMost bounds how many holds are looked at for a delegate.
const scanMost = 20_000

// newest gathers holds, and keeps the newest of those that fit, each once.
type newest struct {
	most  int
	keep  func(*holdstore.Hold) bool
	holds []*holdstore.Hold
}

func (n *newest) add(h *holdstore.Hold) {
	if !n.keep(h) {
		return
	}
	if n.holds = append(n.holds, h); len(n.holds) > 2*n.most {
		n.cut()
	}
}

func (n *newest) cut() {
	slices.SortStableFunc(n.holds, func(a, b *holdstore.Hold) int { return placeOf(a).compare(placeOf(b)) })
	n.holds = slices.CompactFunc(n.holds, func(a, b *holdstore.Hold) bool { return a.ID == b.ID })
	clear(n.holds[min(n.most, len(n.holds)):])
	n.holds = n.holds[:min(n.most, len(n.holds))]
}

// newestPlaces keeps where the newest holds are, each once.
type newestPlaces struct {
	most int
	all  []place
}

func (n *newestPlaces) add(p place) {
	if n.all = append(n.all, p); len(n.all) > 2*n.most {
		n.sorted()
	}
}

func (n *newestPlaces) sorted() []place {
	slices.SortFunc(n.all, place.compare)
	n.all = slices.CompactFunc(n.all, func(a, b place) bool { return a.id == b.id })
	n.all = n.all[:min(n.most, len(n.all))]
	return n.all
}

func (n *newest) latest(ctx context.Context, store Store, who holdstore.Whose) error {
	holds, err := store.Latest(ctx, who, n.most, n.keep)
	for _, h := range holds {
		n.add(h)
	}
	n.cut()
	return err
}

func (n *newest) resolve(ctx context.Context, store Store, ref string) error {
	holds, err := store.Resolve(ctx, ref)
	for _, h := range holds {
		n.add(h)
	}
	n.cut()
	return err
}

// find looks at all that a query finds, or at so many.
func (n *newest) find(ctx context.Context, store Store, q holdstore.Query, most int) error {
	defer n.cut()
	q.AnyOrder = true
	looked := 0
	q.Progress = func(now, _ int) { looked = now }
	for h, err := range store.Find(ctx, q) {
		switch {
		case errors.Is(err, holdstore.ErrDamaged):
			continue // recallctl fsck tells of it
		case err != nil:
			return err
		}
		if n.add(h); most > 0 && looked > most {
			return holdstore.ErrMany
		}
	}
	return nil
}

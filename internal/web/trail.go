package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// Bounds of a look at the audit trail.
const (
	trailShown = 300            // entries
	trailTime  = 24 * time.Hour // that are looked at where the form does not say since when
)

// trailPage is the page of the audit trail.
type trailPage struct {
	view
	Fields  []searchField
	Wrong   string // why it can't be read
	Entries []holdstore.Entry
	More    bool
	Missing string
}

// trailFields are the filters of the audit trail.
var trailFields = []string{"since", "until", "id", "by", "verb"}

func (s *Server) auditPage(w http.ResponseWriter, r *http.Request, c *caller) {
	form, v := r.URL.Query(), trailPage{view: s.view(r, c, "audit")}
	for _, name := range trailFields {
		v.Fields = append(v.Fields, searchField{name, strings.TrimSpace(form.Get(name))})
	}
	since, wrong := criteria.Moment(v.Fields[0].Value, s.now())
	until, wrongUntil := criteria.Moment(v.Fields[1].Value, s.now())
	if err := errors.Join(wrong, wrongUntil); err != nil {
		v.Wrong = err.Error()
		s.render(w, v.Lang, "audit", http.StatusBadRequest, v)
		return
	}
	if since.IsZero() {
		since = s.now().Add(-trailTime)
	}
	last := lastEntries{id: v.Fields[2].Value, by: holdstore.Fold(v.Fields[3].Value), verb: v.Fields[4].Value}
	err := last.read(r.Context(), s.store, since, until)
	if errors.Is(err, holdstore.ErrPartial) {
		v.Missing = s.texts.say(v.Lang, "missing")
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Entries, v.More = last.newestFirst(), last.found > trailShown
	s.render(w, v.Lang, "audit", http.StatusOK, v)
}

// lastEntries keeps the last entries that match, as the trail is read from its beginning.
type lastEntries struct {
	id, by, verb string // empty: any
	ring         []holdstore.Entry
	found        int
}

func (l *lastEntries) read(ctx context.Context, store Store, since, until time.Time) error {
	for e, err := range store.Log(ctx, since, false) {
		switch {
		case err != nil:
			return err
		case !until.IsZero() && e.At.After(until):
			return nil
		case l.matches(e):
			l.add(e)
		}
	}
	return ctx.Err()
}

func (l *lastEntries) matches(e holdstore.Entry) bool {
	return (l.id == "" || strings.EqualFold(e.ID, l.id)) && (l.verb == "" || e.Verb == l.verb) &&
		(l.by == "" || strings.Contains(holdstore.Fold(e.By), l.by))
}

func (l *lastEntries) add(e holdstore.Entry) {
	if l.found < trailShown {
		l.ring = append(l.ring, e)
	} else {
		l.ring[l.found%trailShown] = e
	}
	l.found++
}

func (l *lastEntries) newestFirst() []holdstore.Entry {
	all := make([]holdstore.Entry, 0, len(l.ring))
	for n := l.found - 1; n >= max(0, l.found-trailShown); n-- {
		all = append(all, l.ring[n%trailShown])
	}
	return all
}

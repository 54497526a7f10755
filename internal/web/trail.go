package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// Bounds of a look at the audit trail.
const (
	trailShown = 300             // entries
	trailTime  = 24 * time.Hour  // that are looked at where the form does not say since when
	trailRead  = 5 * time.Second // for which one look reads
)

// trailLooked bounds the entries of one look; tests set it lower.
var trailLooked = 100_000

// trailPage is the page of the audit trail.
type trailPage struct {
	view
	Fields  []searchField
	Wrong   string // why it can't be read
	Entries []holdstore.Entry
	Older   string // where what comes behind is shown; empty: nothing
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
	ctx, cancel := context.WithTimeout(r.Context(), trailRead)
	defer cancel()
	last := lastEntries{id: v.Fields[2].Value, by: holdstore.Fold(v.Fields[3].Value), verb: v.Fields[4].Value}
	last.skip, _ = strconv.Atoi(form.Get("skip"))
	rest, err := last.read(ctx, s.store, since, until)
	if errors.Is(err, holdstore.ErrPartial) {
		v.Missing = s.texts.say(v.Lang, "missing")
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	if v.Entries = last.found; !rest.IsZero() {
		v.Older = "/operator/audit?" + last.query(since, rest)
	}
	s.render(w, v.Lang, "audit", http.StatusOK, v)
}

// lastEntries gathers the newest entries that match.
type lastEntries struct {
	id, by, verb string // empty: any
	skip         int    // entries of the last moment that a look before has seen
	found        []holdstore.Entry
}

// read reads the trail from its end, until it has found enough or has looked for long enough. All that it has not seen
// is not younger than rest; zero: it has seen all.
func (l *lastEntries) read(ctx context.Context, store Store, since, until time.Time) (rest time.Time, err error) {
	looked, skipped, skip := 0, 0, l.skip
	for e, err := range store.LogBack(ctx, since, until) {
		if err != nil {
			if ctx.Err() != nil && !rest.IsZero() { // its time is over
				return rest, nil
			}
			return time.Time{}, err
		}
		if skipped < skip && e.At.Equal(until) {
			skipped++
			rest = e.At
			continue
		}
		if looked++; looked > trailLooked || len(l.found) == trailShown {
			if !e.At.Equal(rest) {
				l.skip = 0
			}
			return e.At, nil
		}
		if !e.At.Equal(rest) {
			rest, l.skip = e.At, 0
		}
		if l.skip++; l.matches(e) {
			l.found = append(l.found, e)
		}
	}
	return time.Time{}, nil
}

// query is the form of a look at what came before.
func (l *lastEntries) query(since, until time.Time) string {
	values := url.Values{"since": {since.Format(time.RFC3339Nano)}, "until": {until.Format(time.RFC3339Nano)},
		"skip": {strconv.Itoa(l.skip)}}
	for name, value := range map[string]string{"id": l.id, "by": l.by, "verb": l.verb} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

func (l *lastEntries) matches(e holdstore.Entry) bool {
	return (l.id == "" || strings.EqualFold(e.ID, l.id)) && (l.verb == "" || e.Verb == l.verb) &&
		(l.by == "" || strings.Contains(holdstore.Fold(e.By), l.by))
}

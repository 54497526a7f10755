package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// manyVerbs are what can be done to many messages at once.
var manyVerbs = []string{"recall", "release", "extend", "restore", "ask"}

// manyFrom is the state in which a message must be for an act.
var manyFrom = map[string]holdstore.State{"recall": holdstore.Held, "release": holdstore.Held,
	"extend": holdstore.Held, "restore": holdstore.Recalled, "ask": holdstore.Released}

// Bounds of an act on many messages.
const (
	manyMost    = 100_000 // messages
	manyAsked   = 1000    // messages of which gateways are asked: each writes mail
	manyBody    = 2 << 20 // bytes of the form that confirms
	manySamples = 10      // messages that the page shows before the act
)

// manyTime bounds an act on many messages, so that its answer comes within the minute for which reverse proxies wait:
// what was not begun by then is counted, and is found again by the same search. Tests set it lower.
var manyTime = 40 * time.Second

// chosen is the page that says to which messages an act would be done.
type chosen struct {
	view
	Verb     string
	Count    int
	Others   int // chosen, but in another state
	UnderWay int // they match but for their state, and are being sent: of a recall
	More     bool
	Most     int
	Missing  string
	IDs      string // of exactly those that are counted
	Samples  []card
	Search   searchForm
	Extended time.Duration
}

// confirmMany counts the messages to which an act would be done, and has the operator confirm it. The form carries
// their IDs, so that the act is done to exactly those that were counted, whatever comes in meanwhile.
func (s *Server) confirmMany(w http.ResponseWriter, r *http.Request, c *caller) {
	form := r.URL.Query()
	v := chosen{view: s.view(r, c, "all-messages"), Verb: form.Get("act"), Search: readSearchForm(form),
		Most: manyMost, Extended: manyExtended}
	err := checkQuery(form, append([]string{"act", "which", "state", "id..."}, searchFields...)...)
	from, known := manyFrom[v.Verb]
	if err == nil && !known {
		err = invalid(http.StatusBadRequest, "no button was pressed")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v.Verb == "ask" {
		v.Most = manyAsked
	}
	var p picked
	if form.Get("which") == "all" {
		p, err = s.allThatMatch(r.Context(), c, form, v.Verb, v.Most)
	} else {
		p, v.Others, err = s.theChosen(r.Context(), form["id"], from)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Title = s.texts.say(v.Lang, "many-"+v.Verb)
	v.Count, v.More, v.UnderWay = len(p.ids), p.more, p.underWay
	if p.missing != "" && !p.more {
		v.Missing = s.texts.say(v.Lang, "missing")
	}
	for _, h := range p.samples {
		v.Samples = append(v.Samples, s.card(c, h, v.Lang))
	}
	v.IDs = strings.Join(p.ids, " ")
	s.render(w, v.Lang, "confirm", http.StatusOK, v)
}

// picked are the messages of an act, the newest first. Of all but a few it keeps the ID alone.
type picked struct {
	ids      []string
	samples  []*holdstore.Hold
	more     bool   // there are more than an act takes
	missing  string // what could not be seen; empty: nothing
	underWay int    // how many were seen that are being sent
}

// allThatMatch finds the messages of a search that are in the state for an act. For a recall it also counts those that
// are being sent: they match, and are not recalled.
func (s *Server) allThatMatch(ctx context.Context, c *caller, form url.Values, verb string, most int) (picked, error) {
	q, err := operatorSearch(form, s.now())
	from := manyFrom[verb]
	if err != nil || !slices.Contains(q.States, from) {
		return picked{}, err
	}
	q.States, q.limit, q.after = []holdstore.State{from}, manySamples, place{}
	if verb == "recall" {
		q.States = append(q.States, holdstore.Releasing)
	}
	places, underWay := &newestPlaces{most: most + 1}, map[string]bool{}
	q.each = func(h *holdstore.Hold) bool {
		if h.State == from {
			places.add(placeOf(h))
		} else {
			underWay[h.ID] = true
		}
		return h.State == from
	}
	shown, err := s.list(ctx, c, q)
	all := places.sorted()
	for _, at := range all {
		delete(underWay, at.id)
	}
	p := picked{samples: shown.holds, missing: shown.missing, more: len(all) > most, underWay: len(underWay)}
	for _, at := range all[:min(most, len(all))] {
		p.ids = append(p.ids, at.id)
	}
	return p, err
}

// theChosen loads the messages that were ticked, and counts those that are in another state.
func (s *Server) theChosen(ctx context.Context, ids []string, from holdstore.State) (p picked, others int, err error) {
	if len(ids) > limitMost {
		return p, 0, invalid(http.StatusBadRequest, "too many messages were chosen")
	}
	holds, err := s.store.GetSome(ctx, ids)
	for _, h := range holds {
		if h.State != from || h.Own() {
			others++
			continue
		}
		if p.ids = append(p.ids, h.ID); len(p.samples) < manySamples {
			p.samples = append(p.samples, h)
		}
	}
	return p, others, err
}

// many is an act on many messages, and what became of them.
type many struct {
	verb, reason                        string
	ids                                 []string
	done, late, other, gone, unanswered int
	left                                int // not begun
}

// String writes what an act has brought; readMany reads it.
func (m *many) String() string {
	return fmt.Sprintf("%s %d %d %d %d %d %d", m.verb, m.done, m.late, m.other, m.gone, m.unanswered, m.left)
}

func readMany(text string) (m many, ok bool) {
	_, err := fmt.Sscanf(text, "%s %d %d %d %d %d %d", &m.verb, &m.done, &m.late, &m.other, &m.gone, &m.unanswered,
		&m.left)
	return m, err == nil
}

// count adds the outcome of one message.
func (m *many) count(err error) {
	switch {
	case err == nil, errors.Is(err, holdstore.ErrPartly):
		m.done++
	case errors.Is(err, holdstore.ErrTooLate):
		m.late++
	case errors.Is(err, holdstore.ErrNotFound):
		m.gone++
	case errors.Is(err, holdstore.ErrUnavailable):
		m.unanswered++
	default:
		m.other++
	}
}

// actOnMany does what was confirmed, to the messages that were counted. It goes on when the browser goes away. When its
// time is over or the server stops, what has begun is finished, and the answer says how many were not begun.
func (s *Server) actOnMany(w http.ResponseWriter, r *http.Request, c *caller) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	m := &many{verb: r.PostForm.Get("act"), ids: strings.Fields(r.PostForm.Get("ids")),
		reason: strings.TrimSpace(r.PostForm.Get("reason"))}
	back, err := url.ParseQuery(r.PostForm.Get("back"))
	if _, known := manyFrom[m.verb]; !known || err != nil || len(m.ids) > manyMost {
		s.fail(w, r, invalid(http.StatusBadRequest, "no button was pressed"))
		return
	}
	if len(m.reason) > reasonMost {
		s.fail(w, r, errReason)
		return
	}
	if err := control.SetWriteDeadline(time.Now().Add(manyTime + s.bounds.write)); err != nil {
		s.fail(w, r, err)
		return
	}
	s.carryOut(r, c, m)
	did, _ := s.marker.Sign(mark.Outcome, m.String())
	http.Redirect(w, r, operatorPath+"?"+readSearchForm(back).With("did", did)+"#outcome", http.StatusSeeOther)
}

// carryOut does an act within its time, and counts what became of each message.
func (s *Server) carryOut(r *http.Request, c *caller, m *many) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), manyTime)
	defer cancel()
	defer context.AfterFunc(stopping(r.Context()), cancel)()
	err := s.leaveOwn(ctx, m)
	if err == nil {
		err = s.doMany(ctx, c, m)
	}
	m.left = len(m.ids) - m.done - m.late - m.other - m.gone - m.unanswered
	if err != nil {
		s.log.Trouble(fmt.Sprintf("an act on %d messages left %d as they were, the same search finds them again",
			len(m.ids), m.left), err)
	}
}

// leaveOwn takes the gateway's own mails out of an act, which no count has named: a report must reach its reader.
func (s *Server) leaveOwn(ctx context.Context, m *many) error {
	var others []string
	for ids := range slices.Chunk(m.ids, limitMost) {
		holds, err := s.store.GetSome(ctx, ids)
		if err != nil {
			return err
		}
		own := map[string]bool{}
		for _, h := range holds {
			own[h.ID] = h.Own()
		}
		for _, id := range ids {
			if !own[id] {
				others = append(others, id)
			}
		}
	}
	m.ids = others
	return nil
}

// doMany does an act. What has begun is finished when ctx ends, and no more is begun.
func (s *Server) doMany(ctx context.Context, c *caller, m *many) error {
	if m.verb == "ask" {
		return s.askMany(ctx, c, m)
	}
	by := c.act(m.reason)
	action := map[string]func() holdstore.Action{"recall": s.store.Recalling, "release": s.store.Releasing,
		"restore": s.store.Restoring,
		"extend":  func() holdstore.Action { return s.store.Extending(manyExtended) }}[m.verb]
	return s.store.Bulk(ctx, action(), m.ids, by, func(batch []holdstore.Acted) {
		for _, acted := range batch {
			if m.count(acted.Err); acted.Changed() {
				s.log.Acted(acted.Named(), logVerbs[m.verb], by)
			}
		}
	})
}

// logVerbs are the words of the mail log.
var logVerbs = map[string]string{"recall": "recall", "release": "release-now", "extend": "extend",
	"restore": "restore"}

// askMany has the gateways of the recipients asked.
func (s *Server) askMany(ctx context.Context, c *caller, m *many) error {
	for n, id := range m.ids {
		if n >= manyAsked {
			return invalid(http.StatusBadRequest, "too many messages")
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out, err := s.recall(context.WithoutCancel(ctx), c, id, wish{Reason: m.reason, Ask: true})
		switch p := asProblem(err); {
		case err == nil && !out.AnswerBy.IsZero():
			m.done++
		case err == nil || p.kind() == "too-late" || p.kind() == "forbidden":
			m.other++ // there was nobody to ask
		case p.kind() == "not-found":
			m.gone++
		default:
			m.unanswered++
			return err
		}
	}
	return nil
}

// outcomeOfMany says what an act has brought. Nobody can make an address that says something else.
func (s *Server) outcomeOfMany(lang, did string) (text, kind string) {
	signed, ok := s.marker.Signed(mark.Outcome, did)
	m, readable := readMany(signed)
	if !ok || !readable {
		return "", ""
	}
	text = s.texts.say(lang, "many-"+m.verb) + " – " + s.texts.say(lang, "many-done", m.done)
	for _, c := range []struct {
		n   int
		key string
	}{{m.late, "many-late"}, {m.other, "many-other"}, {m.gone, "many-gone"}, {m.unanswered, "many-unanswered"},
		{m.left, "many-left"}} {
		if c.n > 0 {
			text, kind = text+" "+s.texts.say(lang, c.key, c.n), "bad"
		}
	}
	if kind == "" {
		kind = "good"
	}
	return text, kind
}

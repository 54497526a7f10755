package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Finding is what one check of the site found; the package doctor says what its fields mean.
type Finding struct{ Level, Text, Fix string }

// ExamineBy has operators see what a function finds when it looks at the site; it must be called before Handler.
func (s *Server) ExamineBy(examine func(context.Context) []Finding) { s.examine = examine }

// health is the page that says how the store is.
type health struct {
	view
	Ready    string // why no mail can be held; empty: it can
	Counts   []stateCount
	Bytes    string
	Oldest   time.Time // zero: nothing waits
	Paused   *holdstore.Pause
	Unseen   bool // nobody knows whether releases are paused
	Findings []Finding
}

type stateCount struct {
	State string
	Count int
}

// readyTime bounds how long the page waits for the store's word.
const readyTime = 3 * time.Second

// healthEvenAway lets operators see the page while the store can't say whether their session was ended. They have the
// proof of a session, and see what is away: nothing that the site has.
func (s *Server) healthEvenAway(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, err := s.caller(r)
		n, ok := s.cookieSession(r)
		if !errors.Is(err, holdstore.ErrUnavailable) || !ok {
			next(w, r)
			return
		}
		c := &caller{}
		c.signIn(n)
		if c.Operator = s.operates(c); !c.Operator {
			s.fail(w, r, err)
			return
		}
		v := health{view: s.view(r, c, "health"), Ready: strings.ReplaceAll(err.Error(), "\n", ": "), Unseen: true}
		s.render(w, v.Lang, "health", http.StatusOK, v)
	}
}

// readyz tells anybody, such as a load balancer, whether the store answers, and no more. However many ask, the store is
// asked once at a time.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	_, err, _ := s.pings.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), readyTime)
		defer cancel()
		return nil, s.store.Ping(ctx)
	})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("the hold store can't be reached\n"))
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// healthPage is there also when the store is away: then it says so.
func (s *Server) healthPage(w http.ResponseWriter, r *http.Request, c *caller) {
	v := health{view: s.view(r, c, "health")}
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	if st, err := s.store.Stats(ctx); err == nil || errors.Is(err, holdstore.ErrPartial) {
		for _, state := range anyStates {
			v.Counts = append(v.Counts, stateCount{string(state), st.Count[state]})
		}
		v.Bytes, v.Oldest = size(st.Bytes), st.Oldest
	}
	var err error
	if v.Paused, err = s.paused(ctx); err != nil {
		v.Unseen = true
	}
	if err := errors.Join(s.store.Writable(ctx), s.store.Ready(ctx)); err != nil {
		v.Ready = strings.ReplaceAll(err.Error(), "\n", ": ")
	}
	if s.examine != nil {
		v.Findings = s.examine(r.Context())
	}
	if did := r.URL.Query().Get("did"); !v.Unseen && (did == "paused") == (v.Paused != nil) &&
		(did == "paused" || did == "resumed") {
		v.Outcome, v.OutcomeKind = s.texts.say(v.Lang, "did-"+did), "good"
	}
	s.render(w, v.Lang, "health", http.StatusOK, v)
}

// paused says who has paused the releases; nil: nobody, as far as can be seen.
func (s *Server) paused(ctx context.Context) (*holdstore.Pause, error) {
	p, err := s.store.Paused(ctx)
	if errors.Is(err, holdstore.ErrPartial) {
		err = nil
	}
	return p, err
}

// pauseOrResume stops the releases of all gateways on the store, or lets them go on.
func (s *Server) pauseOrResume(w http.ResponseWriter, r *http.Request, c *caller) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	if len(reason) > reasonMost {
		s.fail(w, r, errReason)
		return
	}
	verb, by, did, changed := r.PostForm.Get("act"), c.act(reason), "", false
	var err error
	switch verb {
	case "pause":
		did = "paused"
		changed, err = s.store.Pause(r.Context(), by)
	case "resume":
		did = "resumed"
		changed, err = s.store.Resume(r.Context(), by)
	default:
		err = invalid(http.StatusBadRequest, "no button was pressed")
	}
	if err != nil && !errors.Is(err, holdstore.ErrPartial) { // the page says what of it is partly
		s.fail(w, r, err)
		return
	}
	if changed {
		s.log.Acted(nil, verb, by)
	}
	http.Redirect(w, r, "/operator/health?did="+did+"#outcome", http.StatusSeeOther)
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1 << 10
	units := []string{"B", "KB", "MB", "GB", "TB"}
	v, at := float64(n), 0
	for v >= unit && at < len(units)-1 {
		v, at = v/unit, at+1
	}
	if at == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[at]
}

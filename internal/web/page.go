package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// pages adds the pages for people.
func (s *Server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.listPage)
	mux.HandleFunc("GET /m/{id}", s.signedIn(s.holdPage))
	mux.HandleFunc("GET /m/{id}/events", s.signedIn(s.holdEvents))
	mux.HandleFunc("GET /l/{token}/events", s.linked(s.holdEvents))
	mux.HandleFunc("POST /m/{id}", s.signedIn(s.actOnHold))
	mux.HandleFunc("GET /l/{token}", s.linked(s.holdPage))
	mux.HandleFunc("POST /l/{token}", s.linked(s.actOnHold))
	mux.HandleFunc("POST /me", s.signedIn(s.chooseOnPage))
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("POST /sign-in", s.mailLink)
	mux.HandleFunc("GET /s/{token}", s.confirmPage)
	mux.HandleFunc("POST /s/{token}", s.confirm)
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /static/{name}", s.static)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, unknownPath()) })
}

// onHold handles a page of one hold for a caller.
type onHold func(w http.ResponseWriter, r *http.Request, c *caller, id string)

// signedIn makes a handler for people who have signed in.
func (s *Server) signedIn(do onHold) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.caller(r)
		switch {
		case err != nil:
			s.fail(w, r, err)
		case c.nobody() && r.Method != http.MethodPost:
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		case c.nobody():
			s.fail(w, r, unauthorized("sign in first"))
		default:
			do(w, r, c, r.PathValue("id"))
		}
	}
}

// linked makes a handler for whoever has a signed link.
func (s *Server) linked(do onHold) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.byLink(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		do(w, r, c, c.Hold)
	}
}

// byLink gives whoever has a signed link the rights of the sender for one hold.
func (s *Server) byLink(r *http.Request) (*caller, error) {
	token := r.PathValue("token")
	id, ok := s.marker.ReadHoldLink(token, s.now())
	if !ok {
		return nil, s.wrong(r, "link", notFound())
	}
	return &caller{Person: recall.Person{Hold: id}, name: "the link of " + id, link: token, prove: s.byLink,
		from: "page, " + s.client(r).String()}, nil
}

// where is the path of the page of a hold, for this caller.
func (c *caller) where(id string) string {
	if c.link != "" {
		return "/l/" + c.link
	}
	return "/m/" + id
}

// listShown bounds the messages on the list.
const listShown = 100

func (s *Server) listPage(w http.ResponseWriter, r *http.Request) {
	c, err := s.caller(r)
	if err == nil && c.nobody() {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	own := *c
	own.Operator = false // everybody's messages are on the operators' page
	q := search{limit: listShown}
	q.States = anyStates
	p, err := s.list(r.Context(), &own, q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showList(w, r, c, p)
}

func (s *Server) showList(w http.ResponseWriter, r *http.Request, c *caller, p page) {
	v := struct {
		view
		Waiting, Recalled, Left []card
		More                    bool
		Missing                 string
		Choices                 *choices
	}{view: s.view(r, c, "your-messages"), More: p.more}
	var err error
	if v.Choices, err = s.choices(r.Context(), c); err != nil {
		s.fail(w, r, err)
		return
	}
	if v.Choices != nil && r.URL.Query().Get("did") == "chosen" {
		v.Outcome, v.OutcomeKind = s.texts.say(v.Lang, "did-chosen", s.chosen(v.Lang, v.Choices)), "good"
	}
	if p.missing != "" {
		v.Missing = s.texts.say(v.Lang, "missing")
	}
	for _, h := range p.holds {
		switch k := s.card(c, h, v.Lang); {
		case h.State == holdstore.Held || h.State == holdstore.Releasing:
			v.Waiting = append(v.Waiting, k)
		case h.State == holdstore.Recalled:
			v.Recalled = append(v.Recalled, k)
		case s.now().Sub(h.Due) < 24*time.Hour:
			v.Left = append(v.Left, k)
		}
	}
	s.render(w, v.Lang, "list", http.StatusOK, v)
}

func (s *Server) holdPage(w http.ResponseWriter, r *http.Request, c *caller, id string) {
	h, err := s.one(r.Context(), c, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := struct {
		view
		Card    card
		Preview *preview
		Action  string
		Back    bool
	}{view: s.view(r, c, "name"), Action: c.where(h.ID), Back: c.link == ""}
	v.Card = s.card(c, h, v.Lang)
	v.Title = v.Card.Subject
	if s.o.Preview {
		v.Preview = s.preview(r.Context(), h)
	}
	did := r.URL.Query().Get("did")
	v.Outcome, v.OutcomeKind = s.outcome(v.Lang, did, h)
	if did == "released" && h.State == holdstore.Held && v.Outcome != "" {
		if p, err := s.paused(r.Context()); err == nil && p != nil { // what can't be seen is only not said
			v.Outcome = s.texts.say(v.Lang, "did-released-paused")
		}
	}
	s.render(w, v.Lang, "hold", http.StatusOK, v)
}

// outcome says what an act has brought. Anybody can type the address of a page, so it says only what is true of the
// hold as it is now. Its text is did-DID in package words: a new one belongs in the list here as well, or nothing is
// shown, and among the bad ones if it is one.
func (s *Server) outcome(lang, did string, h *holdstore.Hold) (text, kind string) {
	gone := h.State == holdstore.Releasing || h.State == holdstore.Released
	is := map[string]bool{
		"recalled": h.State == holdstore.Recalled,
		"partly":   hasOutcome(h, holdstore.TakenBack),
		"too-late": gone,
		"released": gone || h.State == holdstore.Held && !h.Due.After(s.now()),
		"extended": h.State == holdstore.Held, "restored": h.State == holdstore.Held,
		"asked": hasOutcome(h, holdstore.Requested, holdstore.Retracted, holdstore.Refused, holdstore.AlreadyRead,
			holdstore.Unknown),
		"nobody": gone, "not-now": true, "limit": true, "refused": true, "nothing": true, "none-chosen": true,
	}
	if !is[did] {
		return "", ""
	}
	kind = "good"
	if did == "partly" || did == "too-late" || did == "nobody" || did == "not-now" || did == "limit" ||
		did == "refused" || did == "nothing" || did == "none-chosen" {
		kind = "bad"
	}
	return s.texts.say(lang, "did-"+did), kind
}

func hasOutcome(h *holdstore.Hold, any ...holdstore.Outcome) bool {
	for _, r := range h.Results {
		for _, o := range any {
			if r.Outcome == o {
				return true
			}
		}
	}
	return false
}

// actOnHold does what the button that was pressed says. A form that was sent without a button, as programs that follow
// links do it, does nothing.
func (s *Server) actOnHold(w http.ResponseWriter, r *http.Request, c *caller, id string) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	did, err := s.pressed(r, c, id)
	if p := asProblem(err); err != nil {
		switch p.kind() {
		case "too-late", "not-now":
			did = p.kind()
		case "forbidden":
			did = "refused"
		default:
			s.fail(w, r, err)
			return
		}
	}
	http.Redirect(w, r, c.where(id)+"?did="+url.QueryEscape(did)+"#outcome", http.StatusSeeOther)
}

// pressed does the act of a button, and returns what it has brought.
func (s *Server) pressed(r *http.Request, c *caller, id string) (did string, err error) {
	ctx := r.Context()
	verb, argument, _ := strings.Cut(r.PostForm.Get("act"), " ")
	switch verb {
	case "recall", "recall-some", "ask":
		only := r.PostForm["only"]
		if verb != "recall-some" {
			only = nil
		} else if len(only) == 0 || len(only) > recipientsShown {
			return "none-chosen", nil
		}
		out, err := s.recall(ctx, c, id, wish{Only: only, Ask: verb == "ask"})
		switch {
		case verb != "ask":
			return out.Kind, err
		case err == nil && !out.AnswerBy.IsZero():
			return "asked", nil
		case err == nil:
			return out.Kind, nil
		case asProblem(err).kind() == "too-late" && out.Hold != nil:
			return "nobody", nil
		}
		return "", err
	case "release":
		_, err = s.release(ctx, c, id, "")
		return "released", err
	case "restore":
		_, err = s.restore(ctx, c, id, "")
		return "restored", err
	case "extend":
		longer, wrong := config.ParseDuration(argument)
		if wrong != nil || longer <= 0 {
			return "nothing", nil
		}
		if _, err = s.extend(ctx, c, id, longer, ""); err != nil && asProblem(err).kind() == "invalid" {
			return "limit", nil
		}
		return "extended", err
	}
	if _, err := s.one(ctx, c, id); err != nil {
		return "", err
	}
	return "nothing", nil
}

package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// operatorPages adds the pages for operators: everybody's messages, claw backs, the audit trail, and how
// the store is.
func (s *Server) operatorPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /operator", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, operatorPath, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /operator/{$}", s.operated(s.searchPage))
	mux.HandleFunc("GET /operator/confirm", s.operated(s.confirmMany))
	mux.HandleFunc("POST /operator/confirm", s.operated(s.actOnMany))
	mux.HandleFunc("GET /operator/claw-backs", s.operated(s.deliveredPage))
	mux.HandleFunc("POST /operator/claw-backs", s.operated(s.orderPage))
	mux.HandleFunc("GET /operator/claw-backs/{id}", s.operated(s.clawPage))
	mux.HandleFunc("POST /operator/claw-backs/{id}", s.operated(s.undoPage))
	mux.HandleFunc("GET /operator/audit", s.operated(s.auditPage))
	mux.HandleFunc("GET /operator/health", s.healthEvenAway(s.operated(s.healthPage)))
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("POST /operator/health", s.operated(s.pauseOrResume))
}

const operatorPath = "/operator/"

// operated makes a handler for operators. Others hear that they may not, and an act that they tried is in the trail.
func (s *Server) operated(do func(w http.ResponseWriter, r *http.Request, c *caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.caller(r)
		switch {
		case err != nil:
			s.fail(w, r, err)
		case c.nobody() && r.Method != http.MethodPost:
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		case c.nobody():
			s.fail(w, r, unauthorized("sign in first"))
		case !c.may(ScopeAdmin) && r.Method == http.MethodPost:
			err := s.store.Audit(r.Context(), "web refused", "", c.act(""), "an act of operators")
			if err == nil {
				err = forbidden("only operators may do that")
			}
			s.fail(w, r, err)
		case !c.may(ScopeAdmin):
			s.fail(w, r, forbidden("this page is for operators"))
		default:
			do(w, r, c)
		}
	}
}

// searchFields are the filters of the search, which are those of recallctl.
var searchFields = []string{"sender", "recipient", "subject", "login", "client", "message_id", "queue_id", "since",
	"until"}

// searchStates are what the search offers; a state by itself, or several.
var searchStates = []string{"waiting", "held", "releasing", "released", "recalled", "all"}

// operatorSearch reads the form of a search, as the API reads its parameters. Fields that were left empty don't select.
func operatorSearch(form url.Values, now time.Time) (q search, err error) {
	values := url.Values{}
	for _, name := range append([]string{"state", "cursor"}, searchFields...) {
		value := strings.TrimSpace(form.Get(name))
		if value == "" {
			continue
		}
		switch name {
		case "sender", "recipient":
			value = criteria.Address(value)
		case "since", "until":
			at, err := criteria.Moment(value, now)
			if err != nil {
				return q, invalid(http.StatusBadRequest, name+": "+err.Error())
			}
			value = at.Format(time.RFC3339Nano)
		case "state":
			if value == "waiting" {
				value = "held,releasing"
			}
		}
		values.Set(name, value)
	}
	if err := checkQuery(values, searchParameters...); err != nil {
		return q, err
	}
	return readSearch(values, now)
}

// searchForm is a search as it was typed.
type searchForm struct {
	Fields []searchField
	States []string
	State  string
}

// searchField is one field of the operators' search.
type searchField struct{ Name, Value string }

// usual is how many of searchFields are always shown; the others are for rare searches.
const usual = 3

// Usual are the fields that are always shown.
func (f searchForm) Usual() []searchField { return f.Fields[:usual] }

// Rare are the other fields.
func (f searchForm) Rare() []searchField { return f.Fields[usual:] }

// Special says whether one of the rare fields selects.
func (f searchForm) Special() bool {
	return slices.ContainsFunc(f.Rare(), func(one searchField) bool { return one.Value != "" })
}

// Query writes the search as the query of an address, for links and forms that go on with it.
func (f searchForm) Query() string {
	values := url.Values{"state": {f.State}}
	for _, one := range f.Fields {
		if one.Value != "" {
			values.Set(one.Name, one.Value)
		}
	}
	return values.Encode()
}

// Path is where the search is shown. A template would escape a query by itself.
func (f searchForm) Path() string { return operatorPath + "?" + f.Query() }

// With writes the search together with one more field.
func (f searchForm) With(name, value string) string {
	return f.Query() + "&" + name + "=" + url.QueryEscape(value)
}

func readSearchForm(form url.Values) searchForm {
	f := searchForm{States: searchStates, State: form.Get("state")}
	if f.State == "" {
		f.State = "waiting"
	}
	for _, name := range searchFields {
		f.Fields = append(f.Fields, searchField{name, form.Get(name)})
	}
	return f
}

// found is the page of a search.
type found struct {
	view
	Search   searchForm
	Wrong    string // why the search can't be made
	Cards    []card
	Older    string // where what comes behind is shown; empty: nothing
	Missing  string
	Acts     []string
	Extended time.Duration
	Paused   *holdstore.Pause
}

// manyExtended is by how much many messages are held longer at once.
const manyExtended = time.Hour

func (s *Server) searchPage(w http.ResponseWriter, r *http.Request, c *caller) {
	form := r.URL.Query()
	v := found{view: s.view(r, c, "all-messages"), Search: readSearchForm(form), Acts: manyVerbs, Extended: manyExtended}
	v.Outcome, v.OutcomeKind = s.outcomeOfMany(v.Lang, form.Get("did"))
	q, err := operatorSearch(form, s.now())
	if err != nil {
		v.Wrong = asProblem(err).Detail
		s.render(w, v.Lang, "operator", http.StatusBadRequest, v)
		return
	}
	p, err := s.list(r.Context(), c, q)
	if err == nil {
		v.Paused, err = s.paused(r.Context())
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, h := range p.holds {
		v.Cards = append(v.Cards, s.card(c, h, v.Lang))
	}
	if p.more {
		v.Older = operatorPath + "?" + v.Search.With("cursor", placeOf(p.holds[len(p.holds)-1]).String())
	}
	if p.missing != "" {
		v.Missing = s.texts.say(v.Lang, "missing")
	}
	s.render(w, v.Lang, "operator", http.StatusOK, v)
}

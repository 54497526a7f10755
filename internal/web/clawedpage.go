package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

// clawRows is how many mailboxes the page of a claw back shows at once.
const clawRows = 100

// clawView is the page of one claw back.
type clawView struct {
	view
	clawRow
	Done     int
	Counts   []clawCount
	Outcomes []clawOutcome
	Self     string // where this page is
	Earlier  string // where the mailboxes before these are shown; empty: nowhere
	Further  string
	Moved    int // mailboxes from which something was moved that can be moved back

	Stoppable bool // it is under way, and nobody has stopped it
}

// clawCount is how many mailboxes have an outcome.
type clawCount struct {
	Outcome string
	Count   int
}

// clawPage shows a claw back: how far it is, and what came of each mailbox.
func (s *Server) clawPage(w http.ResponseWriter, r *http.Request, c *caller) {
	h, err := s.store.ClawBack(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := clawView{view: s.view(r, c, "claw-title"), Done: h.Mailboxes - h.Left, Stoppable: h.Left > 0 && !h.Stopped}
	v.Path = clawPath
	if v.clawLine, err = clawLineOf(h); err != nil {
		s.fail(w, r, err)
		return
	}
	v.Title, v.Goal = s.texts.say(v.Lang, "claw-title", h.ID), s.goal(v.Lang, v.clawLine)
	if did := r.URL.Query().Get("did"); did == "ordered" || did == "stopped" {
		v.Outcome, v.OutcomeKind = s.texts.say(v.Lang, "did-"+did), "good"
	}
	counts, err := s.store.ClawCounts(r.Context(), h.ID, clawback.AllOutcomes)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for n, outcome := range clawback.AllOutcomes {
		if outcome == clawback.Pending {
			counts[n] = h.Left
		}
		if counts[n] > 0 {
			v.Counts = append(v.Counts, clawCount{outcome, counts[n]})
		}
		if outcome == mailbox.Moved && !v.DryRun {
			v.Moved = counts[n]
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	from = max(0, min(from, h.Mailboxes-1)) / clawRows * clawRows
	err = clawback.OutcomesFrom(r.Context(), s.store, h, from, clawRows, func(o clawback.Outcome) error {
		v.Outcomes = append(v.Outcomes, clawOutcomeOf(o))
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	at := func(from int) string {
		return clawPath + "/" + h.ID + "?" + url.Values{"from": {strconv.Itoa(from)}}.Encode()
	}
	v.Self = at(from)
	if from > 0 {
		v.Earlier = at(from-clawRows) + "#mailboxes"
	}
	if from+clawRows < h.Mailboxes {
		v.Further = at(from+clawRows) + "#mailboxes"
	}
	s.render(w, v.Lang, "clawback", http.StatusOK, v)
}

// undoPage stops a claw back, and orders that what it has moved is moved back.
func (s *Server) undoPage(w http.ResponseWriter, r *http.Request, c *caller) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	switch {
	case r.PostForm.Get("act") != "undo":
		s.fail(w, r, invalid(http.StatusBadRequest, "no button was pressed"))
		return
	case len(reason) > reasonMost:
		s.fail(w, r, errReason)
		return
	}
	id, err := s.undoClaw(r, c, reason)
	switch {
	case errors.Is(err, errClawStopped):
		http.Redirect(w, r, clawPath+"/"+r.PathValue("id")+"?did=stopped#outcome", http.StatusSeeOther)
	case err != nil:
		s.fail(w, r, err)
	default:
		http.Redirect(w, r, clawPath+"/"+id+"?did=ordered#outcome", http.StatusSeeOther)
	}
}

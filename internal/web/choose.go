package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/choice"
	"github.com/recall-milter/recall-milter/internal/config"
)

// mayChoose says whether the caller is a person who may choose how long their mail waits. A link to one message proves
// nothing for others.
func (s *Server) mayChoose(c *caller) bool {
	return s.o.OwnGrace != nil && c.Hold == "" && (c.Login != "" || len(c.Addresses) > 0)
}

// choose keeps the grace that a person has chosen; nil: they want the site's.
func (s *Server) choose(ctx context.Context, c *caller, grace *time.Duration) error {
	switch {
	case !s.mayChoose(c):
		return forbidden("nobody may choose a grace here")
	case !c.may(ScopeAct):
		return forbidden("this token may only read")
	case grace != nil && (*grace < s.o.OwnGrace.Least || *grace > s.o.OwnGrace.Most):
		return invalid(http.StatusUnprocessableEntity, fmt.Sprintf("grace must be from %v to %v", s.o.OwnGrace.Least,
			s.o.OwnGrace.Most))
	}
	n, err := s.store.Count(ctx, time.Hour, holdstore.Tally{Name: "web acts of " + c.name, By: 1})
	if err == nil && n[0] > actsPer {
		err = tooMany(3600)
	}
	if err != nil {
		return err
	}
	return s.store.ChooseGrace(ctx, choice.Names(c.Login, c.Addresses...), grace, c.act(""))
}

// apiChoose takes {"grace": "1m"}; "" is the site's.
func (s *Server) apiChoose(r *http.Request, c *caller) (any, error) {
	var t struct {
		Grace *string `json:"grace"`
	}
	if err := readBody(r, &t); err != nil {
		return nil, err
	}
	if t.Grace == nil {
		return nil, invalid(http.StatusUnprocessableEntity, `grace must be there: a duration like "1m", or ""`)
	}
	grace, err := readGrace(*t.Grace)
	if err != nil {
		return nil, err
	}
	if err := s.choose(r.Context(), c, grace); err != nil {
		return nil, err
	}
	return s.apiMe(r, c)
}

// readGrace reads a choice; nil is the site's.
func readGrace(text string) (*time.Duration, error) {
	if text == "" {
		return nil, nil
	}
	grace, err := config.ParseDuration(text)
	if err != nil {
		return nil, invalid(http.StatusUnprocessableEntity, `grace must be a duration like "1m", or "" for the site's`)
	}
	return &grace, nil
}

// choices are what the page offers of how long mail waits.
type choices struct {
	Site   time.Duration // where nobody has chosen
	Chosen bool
	All    []offered
}

// offered is one grace of the form.
type offered struct {
	Grace  time.Duration
	Chosen bool
}

var usualGraces = []time.Duration{0, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour}

// chosen says in a language what a person has chosen.
func (s *Server) chosen(lang string, v *choices) string {
	for _, o := range v.All {
		switch {
		case o.Chosen && o.Grace == 0:
			return s.texts.say(lang, "choice-none")
		case o.Chosen:
			return s.texts.span(lang, o.Grace)
		}
	}
	return s.texts.say(lang, "choice-site", s.texts.span(lang, v.Site))
}

// choices is the form for a person; nil: they may not choose.
func (s *Server) choices(ctx context.Context, c *caller) (*choices, error) {
	if !s.mayChoose(c) {
		return nil, nil
	}
	own, err := s.store.ChosenGrace(ctx, choice.Names(c.Login, c.Addresses...)...)
	if err != nil {
		return nil, err
	}
	graces := append(slices.Clone(usualGraces), s.o.OwnGrace.Least, s.o.OwnGrace.Most)
	if own != nil {
		graces = append(graces, *own)
	}
	slices.Sort(graces)
	v := &choices{Site: s.o.Grace, Chosen: own != nil}
	for _, grace := range slices.Compact(graces) {
		mine := own != nil && *own == grace
		if mine || grace >= s.o.OwnGrace.Least && grace <= s.o.OwnGrace.Most {
			v.All = append(v.All, offered{grace, mine})
		}
	}
	return v, nil
}

// chooseOnPage takes the form of the list.
func (s *Server) chooseOnPage(w http.ResponseWriter, r *http.Request, c *caller, _ string) {
	err := r.ParseForm()
	if err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	if _, sent := r.PostForm["grace"]; !sent || r.PostForm.Get("act") != "choose" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	grace, err := readGrace(strings.TrimSpace(r.PostForm.Get("grace")))
	if err == nil {
		err = s.choose(r.Context(), c, grace)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/?did=chosen#outcome", http.StatusSeeOther)
}

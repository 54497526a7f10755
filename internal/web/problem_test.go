package web

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// A program that passes on what its user reads asks for a language, and gets a problem in the words of the page.
func TestAProblemIsInTheLanguageThatIsAskedFor(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("", "fr", "en", "de")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{texts: texts}
	for _, c := range []struct {
		p        *problem
		language string
		title    string // the key of a text; or our own words
		detail   string
	}{
		{tooLate(&holdstore.Hold{}), "de-AT, en;q=0.5", "did-too-late", "did-too-late"},
		{notNow(&holdstore.Hold{}, "why"), "de", "did-not-now", "did-not-now"},
		{refused("the rule forbids it"), "de", "did-refused", "did-refused"},
		{invalid(400, "no JSON"), "de", "problem-invalid", "no JSON"},
		{notFound(), "de", "problem-not-found", notFound().Detail},
		{unknownPath(), "de", "problem-unknown-path", unknownPath().Detail},
		{tooMany(1), "de", "problem-rate", tooMany(1).Detail},
		{asProblem(holdstore.ErrUnavailable), "de", "problem-store-away", asProblem(holdstore.ErrUnavailable).Detail},
		{unauthorized("why"), "de", "problem-unauthorized", "why"},
		{tooLate(&holdstore.Hold{}), "", "Too late", tooLate(&holdstore.Hold{}).Detail},
		{tooLate(&holdstore.Hold{}), "en", "Too late", tooLate(&holdstore.Hold{}).Detail},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/me", nil)
		if c.language != "" {
			r.Header.Set("Accept-Language", c.language)
		}
		s.log = quiet{}
		s.fail(w, r, c.p)
		var got problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		title, detail := c.title, c.detail
		language := w.Header().Get("Content-Language")
		if language != "" {
			title, detail = texts.Say(language, title), texts.Say(language, detail)
		}
		if got.Title != title || got.Detail != detail || (language == "de") != strings.HasPrefix(c.language, "de") {
			t.Errorf("%s in %q (%q): %q, %q", c.p.Type, c.language, language, got.Title, got.Detail)
		}
	}
}

// quiet is a log that nobody reads.
type quiet struct{ Log }

func (quiet) Trouble(string, error) {}

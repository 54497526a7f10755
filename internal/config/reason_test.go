package config

import (
	"strings"
	"testing"
)

func TestAReasonIsOneTextOrOneForEachLanguage(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", []byte(`
[web]
languages = ["en", "de"]
[recall]
languages = { "corp.fr" = "fr", "bank.de" = "de-x-bank" }
[[hold.rule]]
name = "one"
reason = "New here."
[[hold.rule]]
name = "inline"
reason = { de = "Neu hier.", fr = "Nouveau." }
[[hold.rule]]
name = "table"
[hold.rule.reason]
en = "New here."
de = "Neu hier."
[[hold.rule]]
name = "variant"
reason = { en = "New here.", de = "Neu hier.", de-x-bank = "Wir kennen diesen Empfänger nicht." }
[[hold.rule]]
name = "none"
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct{ rule, language, want string }{
		{"one", "de", "New here."}, {"one", "", "New here."}, {"inline", "de", "Neu hier."}, {"inline", "fr", "Nouveau."},
		{"inline", "en", "Neu hier."}, // of the languages of the page, in their order
		{"variant", "de-x-bank", "Wir kennen diesen Empfänger nicht."}, {"variant", "de", "Neu hier."},
		{"table", "de-x-bank", "Neu hier."},
		{"table", "de", "Neu hier."}, {"table", "fr", "New here."}, {"none", "de", ""}, {"default", "de", ""},
	} {
		if got := c.Reason(e.rule, e.language); got != e.want {
			t.Errorf("%v: %q", e, got)
		}
	}
}

func TestAReasonThatNobodyCouldReadIsRefused(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		`""`:                     "the text is empty",
		`"a\nb"`:                 "must be one line",
		`"\u001b[2J"`:            "must be one line",
		`{ xx = "a" }`:           `nothing is written in the language "xx"`,
		`{ "" = "a", de = "b" }`: `nothing is written in the language ""`,
		`{ de = "" }`:            "the text is empty",
		`{ de = 5 }`:             "must be a string",
		`5`:                      "must be a string",
		`["a"]`:                  "must be a string",
		`"` + strings.Repeat("ä", reasonMost+1) + `"`: "more than 500 characters",
	} {
		_, err := Parse("x.toml", []byte("[[hold.rule]]\nname = \"a\"\nreason = "+reason+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestARuleSaysWhichOutcomesItsSendersHear(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", []byte(`
[recall]
reports = "failures"
[[hold.rule]]
name = "quiet"
reports = "never"
[[hold.rule]]
name = "as-site"
`))
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{"quiet": "never", "as-site": "failures", "default": "failures",
		"": "failures"} {
		if got := c.Reports(rule); got != want {
			t.Errorf("%q: %s, want %s", rule, got, want)
		}
	}
}

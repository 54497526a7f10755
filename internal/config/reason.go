package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts say one thing in several languages. The key "" is for all of them.
type Texts map[string]string

// UnmarshalText reads one text for all languages; a table has one for each.
func (t *Texts) UnmarshalText(text []byte) error {
	*t = Texts{"": string(text)}
	return nil
}

// in returns the text in the first of some languages that has one, or else any.
func (t Texts) in(languages ...string) string {
	for _, language := range append(languages, slices.Sorted(maps.Keys(t))...) {
		if text := t[language]; text != "" {
			return text
		}
	}
	return ""
}

// Reason says in a language why mail of a rule waits, in the site's words; empty: the site has not said it.
func (c *Config) Reason(rule, language string) string {
	for _, r := range c.Hold.Rules {
		if r.Name == rule {
			base, _, _ := strings.Cut(language, "-") // en-x-bank is English
			return r.Reason.in(append([]string{language, base, ""}, c.Web.Languages...)...)
		}
	}
	return ""
}

// Reports says of which outcomes of recalls the sender of a message of a rule hears: always, failures or never.
func (c *Config) Reports(rule string) string {
	for _, r := range c.Hold.Rules {
		if r.Name == rule {
			return cmp.Or(r.Reports, c.Recall.Reports)
		}
	}
	return c.Recall.Reports
}

// reasonMost bounds a reason, in characters: it is one sentence of a mail.
const reasonMost = 500

// checkReason takes texts of one line, in languages in which somebody is written to.
func (c *Config) checkReason(s *source, path string, t Texts) {
	offered := slices.Sorted(maps.Values(c.Recall.Languages))
	offered = append(offered, c.Web.Languages...)
	for _, r := range c.Hold.Rules {
		offered = append(offered, r.Language)
	}
	for language, text := range t {
		at := path
		if language != "" || len(t) > 1 {
			at = join(path, language)
			s.demand(at, language != "" && slices.Contains(offered, language),
				fmt.Sprintf("nothing is written in the language %q: add it to web.languages or recall.languages", language))
		}
		s.is(at, checkLine(text, reasonMost))
	}
}

// checkLine takes a text that people read on one line.
func checkLine(text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("the text is empty: leave the key out")
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("the text has more than %d characters", most)
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("the text must be one line, without control characters")
	}
	return nil
}

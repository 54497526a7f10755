// Package words has the texts of the page and of the mails to senders, in all languages: one file a language, of lines
// that people who don't program can translate, and that a site can replace one by one. The language of the page is the
// browser's (Choose); that of a mail is the rule's, or the sender's domain's, or the site's (package wiring). Logs,
// recallctl, SMTP replies, bounces, and why a command was refused or not understood (post.Answer.Why, from package
// recall) are in English, in the code; mails to other gateways and the notice in a mailbox are in English, in forms
// (packages post and mailbox).
package words

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed texts
var shipped embed.FS

// english is the language that has every text: what another one lacks is taken from it.
const english = "en"

// Words are the texts in all languages that are offered.
type Words struct {
	Names   []string // of the languages, the default first
	texts   map[string]map[string]string
	matcher language.Matcher
}

// Languages lists those that we ship. A new one also belongs in the default of web.languages in package config, in the
// Roundcube plugin's localization, and in docs/languages.md.
func Languages() (names []string) {
	entries, _ := shipped.ReadDir("texts")
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	return names
}

// English returns our own English texts.
func English() *Words {
	t := &Words{Names: []string{english}, texts: map[string]map[string]string{english: {}}}
	ours, _ := shipped.ReadFile("texts/" + english + ".txt")
	t.parse(english, string(ours))
	return t
}

// Read reads the texts of some languages, the first being the default, and those that a site has in a folder under
// the same names: LANGUAGE.txt, of which each text replaces ours. The folder need not exist.
func Read(folder string, names ...string) (*Words, error) {
	if len(names) == 0 {
		names = []string{english}
	}
	t := &Words{Names: names, texts: map[string]map[string]string{}}
	var tags []language.Tag
	for _, name := range append([]string{english}, names...) {
		if t.texts[name] != nil {
			continue
		}
		t.texts[name] = map[string]string{}
		if err := t.read(name, folder); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("invalid language %q: %w", name, err)
		}
		tags = append(tags, tag)
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// read reads a language. A variant such as de-x-bank begins with the texts of its language, de.
func (t *Words) read(name, folder string) error {
	if base, _, variant := strings.Cut(name, "-"); variant && slices.Contains(Languages(), base) {
		if err := t.readInto(name, base, folder); err != nil {
			return err
		}
	}
	return t.readInto(name, name, folder)
}

// readInto adds the texts of a language to those of name.
func (t *Words) readInto(name, language, folder string) error {
	ours, err := shipped.ReadFile("texts/" + language + ".txt")
	file := filepath.Join(folder, language+".txt")
	var own []byte
	wrong := fs.ErrNotExist
	if folder != "" {
		own, wrong = os.ReadFile(file)
	}
	switch {
	case wrong != nil && !errors.Is(wrong, fs.ErrNotExist):
		return fmt.Errorf("texts: %w", wrong)
	case wrong != nil && err != nil:
		return fmt.Errorf("there are no texts in the language %q: offered are %s, or write %s", language,
			strings.Join(Languages(), ", "), file)
	}
	t.parse(name, string(ours))
	t.parse(name, string(own))
	return nil
}

// parse reads lines like "take-back: Take it back"; lines that begin with # say nothing.
func (t *Words) parse(name, text string) {
	for line := range strings.Lines(text) {
		key, words, ok := strings.Cut(line, ":")
		if words = strings.TrimSpace(words); ok && words != "" && !strings.HasPrefix(key, "#") {
			t.texts[name][strings.TrimSpace(key)] = words
		}
	}
}

var (
	placeholder = regexp.MustCompile(`\{\d\}`)
	hole        = regexp.MustCompile(placeholder.String() + `\.?`) // with the full stop behind it
)

// Say returns a text in a language with its placeholders {0}, {1} filled in. A value that ends with an abbreviation
// ("2 Min.") ends a sentence without a second full stop. A key that no language has is shown as it is: tests find that
// for keys in templates and in forms to senders, and for verbs; not for keys in Go code (did-, problem-, many-).
func (t *Words) Say(name, key string, with ...any) string {
	words, ok := t.texts[name][key]
	if !ok {
		if words, ok = t.texts[english][key]; !ok {
			return key
		}
	}
	return hole.ReplaceAllStringFunc(words, func(hole string) string {
		if n := int(hole[1] - '0'); n < len(with) {
			value := fmt.Sprint(with[n])
			if strings.HasSuffix(hole, ".") {
				value = strings.TrimSuffix(value, ".") + "."
			}
			return value
		}
		return hole
	})
}

// Choose returns the offered language that fits what a browser accepts best.
func (t *Words) Choose(accepted string) string {
	tags, _, err := language.ParseAcceptLanguage(accepted)
	if err != nil || len(tags) == 0 || len(accepted) > 1000 {
		return t.Names[0]
	}
	_, n, fit := t.matcher.Match(tags...)
	if fit == language.No {
		return t.Names[0]
	}
	return t.Names[n]
}

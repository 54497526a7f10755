package post

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/internal/words"
)

//go:embed forms
var forms embed.FS

// parts are what several forms share.
//
//go:embed parts.txt
var parts string

// names lists the forms; a site's file of the same name, NAME.txt, replaces ours in all languages.
var names = []string{"recalled", "partly", "too-late", "refused", "not-found", "ambiguous", "help", "notice",
	"released", "extended", "restored", "not-now",
	"request", "status", "outcome", "sign-in", "taken"}

// Texts are the forms of our mails, filled with the words of each language. The first line of each is its subject.
type Texts struct {
	Folder string // with a site's own; empty: none
	site   atomic.Pointer[Site]
	words  *words.Words
	all    map[string]map[string]*template.Template // by language and name
}

// Site is what a site says of its senders and its rules.
type Site struct {
	// Language says in which language to write to a sender; rule is that of the message, or empty.
	Language func(rule, sender string) string
	// Reason says in a language why mail of a rule waits; empty: nobody has said it.
	Reason func(rule, language string) string
	// Reports says of which outcomes of recalls a sender hears: always, failures or never; nil: always.
	Reports func(rule string) string
	// Clock gives moments the zone in which people are told them; nil: the gateway's own.
	Clock func(time.Time) time.Time
}

// Use takes what a site says, from now on. Before that, the default language counts, and no rule has a reason.
func (t *Texts) Use(s Site) { t.site.Store(&s) }

// ReadTexts reads our texts in some languages (the first is the default; none: English), and those of a site's folder,
// which need not exist. A text that can't be filled in is an error now, and not when a sender waits for an answer.
func ReadTexts(folder string, languages ...string) (*Texts, error) {
	w, err := words.Read(folder, languages...)
	if err != nil {
		return nil, err
	}
	t := &Texts{Folder: folder, words: w, all: map[string]map[string]*template.Template{}}
	for _, language := range append([]string{english}, w.Names...) {
		if t.all[language] != nil {
			continue
		}
		t.all[language] = map[string]*template.Template{}
		for _, name := range names {
			if err := t.read(language, name); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// english is the language of mails to other organisations.
const english = "en"

func (t *Texts) read(language, name string) error {
	source, _ := forms.ReadFile("forms/" + name + ".txt")
	file := filepath.Join(t.Folder, name+".txt")
	if t.Folder != "" {
		own, err := os.ReadFile(file)
		if err == nil {
			source = own
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("text of reports: %w", err)
		}
	}
	say := func(key string, with ...any) string { return t.words.Say(language, key, with...) }
	form, err := template.New("parts").Funcs(template.FuncMap{"t": say,
		"field":   func(key string) string { return padded(say(key) + ":") },
		"outcome": func(o RecipientOutcome) string { return o.in(language, say) },
	}).Parse(parts)
	if err == nil {
		form, err = form.New(name).Parse(string(source))
	}
	if err == nil {
		t.all[language][name] = form
		_, _, err = t.write(language, name,
			letter{Rcpt: []RecipientOutcome{{}}, Held: []waiting{{}}, Told: []told{{}}, Missing: []string{""},
				Address: "x", AnswerBy: "x", Link: "x"})
	}
	if err != nil {
		return fmt.Errorf("text of reports: %s: %w", file, err)
	}
	return nil
}

// padded is the name of a field, as wide as the longest one, Message-ID.
func padded(name string) string {
	return name + strings.Repeat(" ", max(1, len("Message-ID: ")-utf8.RuneCountInString(name)))
}

// languageFor says in which language to write to a sender.
func (t *Texts) languageFor(rule, sender string) string {
	language := t.words.Names[0]
	if site := t.site.Load(); site != nil {
		language = site.Language(rule, sender)
	}
	if t.all[language] == nil {
		return t.words.Names[0]
	}
	return language
}

// reason says in a language why mail of a rule waits.
func (t *Texts) reason(rule, language string) string {
	if site := t.site.Load(); site != nil {
		return sanitize.HeaderValue(site.Reason(rule, language))
	}
	return ""
}

// reports says whether the sender of a message of a rule hears what came of a recall; good: all of it was taken back.
func (t *Texts) reports(rule string, good bool) bool {
	site := t.site.Load()
	if site == nil || site.Reports == nil {
		return true
	}
	wanted := site.Reports(rule)
	return wanted != "never" && (wanted != "failures" || !good)
}

// Clock gives a moment the zone in which people are told it.
func (t *Texts) Clock(at time.Time) time.Time {
	if site := t.site.Load(); site != nil && site.Clock != nil {
		return site.Clock(at)
	}
	return at.Local()
}

// write fills a text in; lines end with CRLF.
func (t *Texts) write(language, name string, l letter) (subject, body string, err error) {
	var b bytes.Buffer
	if err := t.all[language][name].Execute(&b, l); err != nil {
		return "", "", err
	}
	subject, body, _ = strings.Cut(strings.ToValidUTF8(b.String(), "?"), "\n")
	body = strings.ReplaceAll(strings.TrimSpace(body), "\r", "")
	return strings.TrimSpace(sanitize.HeaderValue(subject)), strings.ReplaceAll(body, "\n", "\r\n") + "\r\n", nil
}

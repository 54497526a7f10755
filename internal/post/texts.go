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
	"text/template"

	"github.com/recall-milter/recall-milter/internal/sanitize"
)

//go:embed texts
var english embed.FS

// names lists the texts; a site's file of the same name, NAME.txt, replaces ours.
var names = []string{"recalled", "partly", "too-late", "refused", "not-found", "ambiguous", "help", "notice",
	"request", "status", "outcome", "sign-in"}

// Texts are the words of our mails. The first line of each is its subject.
type Texts struct {
	Folder string // with a site's own; empty: none
	all    map[string]*template.Template
}

// ReadTexts reads our texts and those of a site's folder, which need not exist. A text that can't be filled in is an
// error now, and not when a sender waits for an answer.
func ReadTexts(folder string) (*Texts, error) {
	t := &Texts{Folder: folder, all: map[string]*template.Template{}}
	for _, name := range names {
		source, _ := english.ReadFile("texts/" + name + ".txt")
		file := filepath.Join(folder, name+".txt")
		if folder != "" {
			own, err := os.ReadFile(file)
			if err == nil {
				source = own
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("text of reports: %w", err)
			}
		}
		tmpl, err := template.New(name).Parse(string(source))
		if err == nil {
			t.all[name] = tmpl
			_, _, err = t.write(name,
				letter{Rcpt: []RecipientOutcome{{}}, Held: []waiting{{}}, Told: []told{{}}, Missing: []string{""},
					Address: "x", AnswerBy: "x", Link: "x"})
		}
		if err != nil {
			return nil, fmt.Errorf("text of reports: %s: %w", file, err)
		}
	}
	return t, nil
}

// write fills a text in; lines end with CRLF.
func (t *Texts) write(name string, l letter) (subject, body string, err error) {
	var b bytes.Buffer
	if err := t.all[name].Execute(&b, l); err != nil {
		return "", "", err
	}
	subject, body, _ = strings.Cut(strings.ToValidUTF8(b.String(), "?"), "\n")
	body = strings.ReplaceAll(strings.TrimSpace(body), "\r", "")
	return strings.TrimSpace(sanitize.HeaderValue(subject)), strings.ReplaceAll(body, "\n", "\r\n") + "\r\n", nil
}

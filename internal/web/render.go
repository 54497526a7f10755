package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// assets are the static files by the names under which they are served: these change with what is in them, so that a
// browser may keep them.
var assets, assetNames = readAssets()

func readAssets() (files map[string][]byte, names map[string]string) {
	files, names = map[string][]byte{}, map[string]string{}
	entries, _ := staticFiles.ReadDir("static")
	for _, e := range entries {
		text, _ := staticFiles.ReadFile("static/" + e.Name())
		sum := sha256.Sum256(text)
		kind := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), kind) + "." + hex.EncodeToString(sum[:6]) + kind
		files[name], names[e.Name()] = text, name
	}
	return files, names
}

var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml"}

func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	text, ok := assets[name]
	if !ok {
		s.fail(w, r, unknownPath())
		return
	}
	w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(text)
}

// section is a part of the list.
type section struct {
	ID    string
	Cards []card
	None  string
}

// templates makes the templates of each language. A clock gives moments the zone in which they are shown.
func (t *Texts) templates(clock func(time.Time) time.Time) map[string]*template.Template {
	moment := func(at time.Time) template.HTML { return moment(clock(at)) }
	all := map[string]*template.Template{}
	for _, name := range t.Names {
		say := func(key string, with ...any) string { return t.say(name, key, with...) }
		all[name] = template.Must(template.New("").Funcs(template.FuncMap{"t": say, "moment": moment, "now": time.Now,
			"at": func(key string, at time.Time, more ...any) template.HTML {
				return withMoment(t.say(name, key, append([]any{"\x00"}, more...)...), moment(at))
			},
			"span":  func(d time.Duration) string { return t.span(name, d) },
			"verb":  func(verb string) string { return t.verb(name, verb) },
			"asset": func(name string) string { return assetNames[name] },
			"section": func(_ any, id string, cards []card, none string) section {
				return section{id, cards, none}
			}}).ParseFS(templateFiles, "templates/*.html"))
	}
	return all
}

// shown writes a moment as the clock of its zone shows it, without the date of today.
func shown(at time.Time) string {
	if y, m, d := time.Now().In(at.Location()).Date(); at.Year() == y && at.Month() == m && at.Day() == d {
		return at.Format("15:04:05 MST")
	}
	return at.Format("2006-01-02 15:04:05 MST")
}

// moment marks a moment up, so that a script can write it in the zone and language of the browser's user.
func moment(at time.Time) template.HTML {
	return template.HTML(`<time datetime="` + at.UTC().Format(time.RFC3339) + `">` + shown(at) + `</time>`)
}

// withMoment escapes a text, and puts a moment at the place that a NUL marks.
func withMoment(text string, moment template.HTML) template.HTML {
	before, after, _ := strings.Cut(text, "\x00")
	return template.HTML(html.EscapeString(before)) + moment + template.HTML(html.EscapeString(after))
}

// view is what every page shows.
type view struct {
	Lang, Title          string
	Who                  string // who is signed in; empty: nobody
	Session              bool   // a sign-in of ours, which can be ended
	Operator             bool   // who sees the operators' pages
	Path                 string // of the page
	Outcome, OutcomeKind string // of an act: good, bad
}

// view fills in what is the same on all pages. c may be nil.
func (s *Server) view(r *http.Request, c *caller, titleKey string) view {
	v := view{Lang: s.texts.Choose(r.Header.Get("Accept-Language"))}
	v.Title = s.texts.say(v.Lang, titleKey)
	if c != nil && !c.nobody() && c.Hold == "" {
		v.Who, v.Session = cmp.Or(append([]string{c.Login}, c.Addresses...)...), c.session != nil
		v.Operator, v.Path = c.Operator, r.URL.Path
	}
	return v
}

// render writes a page.
func (s *Server) render(w http.ResponseWriter, lang, name string, status int, data any) {
	var b bytes.Buffer
	if err := s.pageTemplates[lang].ExecuteTemplate(&b, name+".html", data); err != nil {
		panic(fmt.Errorf("page %s: %w", name, err))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// failPage shows a problem as a page, with the way out of it.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, p *problem) {
	v := struct {
		view
		Detail, Again string
		SignIn        bool
	}{view: s.view(r, nil, "problem-"+p.kind())}
	switch p.kind() {
	case "forbidden", "invalid":
		v.Detail = p.Detail
	case "store-away", "rate":
		v.Again = "/" + strings.TrimLeft(r.URL.Path, "/")
	case "unauthorized", "sign-in", awayThere:
		v.SignIn = true
	case "not-found":
		if strings.HasPrefix(r.URL.Path, "/l/") || strings.HasPrefix(r.URL.Path, "/s/") {
			v.Title = s.texts.say(v.Lang, "problem-link")
		}
	}
	if v.Title == "problem-"+p.kind() {
		v.Title = s.texts.say(v.Lang, "problem-other")
	}
	s.render(w, v.Lang, "problem", p.Status, v)
}

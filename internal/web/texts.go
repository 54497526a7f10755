package web

import (
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
	"github.com/recall-milter/recall-milter/internal/words"
)

// Texts are the words of the page in all languages that are offered.
type Texts struct{ *words.Words }

// ReadTexts reads the texts of some languages, the first being the default, and those that a site has in a folder.
func ReadTexts(folder string, names ...string) (*Texts, error) {
	w, err := words.Read(folder, names...)
	return &Texts{w}, err
}

func (t *Texts) say(name, key string, with ...any) string { return t.Say(name, key, with...) }

// verb says in a language what was done, as the timeline and the audit trail name it.
func (t *Texts) verb(name, verb string) string {
	key := "verb-" + strings.ReplaceAll(verb, " ", "-")
	if words := t.Say(name, key); words != key {
		return words
	}
	return verb
}

// json writes a hold for programs.
func (s *Server) json(h *holdstore.Hold) holdjson.Hold {
	if s.o.ReasonFor == nil {
		return holdjson.Of(h, "")
	}
	return holdjson.Of(h, s.o.ReasonFor(h))
}

// reason says in a language why mail of a rule waits.
func (s *Server) reason(rule, lang string) string {
	if s.o.Reason == nil {
		return ""
	}
	return s.o.Reason(rule, lang)
}

// span writes a duration in a language, without zeros: 10 min, 1 h 30 min.
func (t *Texts) span(name string, d time.Duration) string {
	d = d.Round(time.Second)
	var words []string
	for _, unit := range []struct {
		key string
		n   time.Duration
	}{{"span-h", d / time.Hour}, {"span-m", d / time.Minute % 60}, {"span-s", d / time.Second % 60}} {
		if unit.n > 0 {
			words = append(words, t.say(name, unit.key, int(unit.n)))
		}
	}
	if len(words) == 0 {
		return t.say(name, "span-s", 0)
	}
	return strings.Join(words, " ")
}

package authenticate

import (
	"errors"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Bounds of one Authentication-Results field that is believed; real ones have a few hundred bytes.
const (
	maxResults = 16 << 10 // bytes
	maxMethods = 50
)

// Result is what one method brought (RFC 8601 section 2.2): its name, its result and its properties, all in lower case.
type Result struct {
	Method, Value string
	Properties    map[string]string // "header.d", "smtp.mailfrom", also "reason"
}

var errResults = errors.New("not to be read without doubt")

// ServID is the authserv-id of an Authentication-Results field as any program may read it: the first word, between
// comments and folds, maybe in quotes.
func ServID(value string) string {
	s := scanner{text: value}
	s.skip()
	if s.peek() != '"' {
		return s.word(" \t\r\n;(")
	}
	id, _ := s.quoted() // to the end where the quote is missing
	return strings.TrimSpace(id)
}

// parseResults reads a field strictly: what two programs could read in two ways is an error.
func parseResults(value string) ([]Result, error) {
	if len(value) > maxResults {
		return nil, errResults
	}
	s := scanner{text: value}
	s.skip()
	if s.word(" \t\r\n;(\"") == "" || s.depth > 0 {
		return nil, errResults
	}
	if s.skip(); s.peek() == '1' { // the version
		s.at++
		s.skip()
	}
	var all []Result
	for s.peek() == ';' {
		s.at++
		r, err := s.result()
		if err != nil || len(all) == maxMethods {
			return nil, errResults
		}
		if r.Method != "" {
			all = append(all, r)
		}
	}
	if s.at < len(s.text) || s.depth > 0 {
		return nil, errResults
	}
	return all, nil
}

// result reads up to the next semicolon; "none", and nothing at all, are not results.
func (s *scanner) result() (r Result, err error) {
	for s.skip(); s.at < len(s.text) && s.peek() != ';'; s.skip() {
		key, value, err := s.pair()
		_, twice := r.Properties[key]
		switch {
		case err != nil || twice:
			return r, errResults
		case r.Properties == nil && key == "none" && value == "":
			r.Properties = map[string]string{}
		case r.Properties == nil:
			method, _, _ := strings.Cut(key, "/") // its version
			r = Result{Method: method, Value: value, Properties: map[string]string{}}
		case r.Method == "":
			return r, errResults
		default:
			r.Properties[key] = value
		}
	}
	return r, nil
}

// pair reads key=value without blanks; the value may be in quotes, also as the local part of an address.
func (s *scanner) pair() (key, value string, err error) {
	key = holdstore.Fold(s.word(" \t\r\n;()\"="))
	if s.peek() != '=' {
		if key != "none" {
			err = errResults
		}
		return key, "", err
	}
	s.at++
	if s.peek() == '"' {
		var closed bool
		if value, closed = s.quoted(); !closed {
			return key, "", errResults
		}
	}
	value += s.word(" \t\r\n;()\"")
	if c := s.peek(); key == "" || value == "" || c == '(' || c == ')' || c == '"' {
		return key, "", errResults // OpenDKIM writes what somebody put into d=, also "partner.test(.evil.test"
	}
	return key, holdstore.Fold(value), nil
}

// scanner reads a structured field (RFC 5322 section 3.2) from left to right.
type scanner struct {
	text  string
	at    int
	depth int // of comments that are not closed
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// skip steps over blanks, folds and comments, also nested ones.
func (s *scanner) skip() {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '(':
			s.depth++
		case c == ')' && s.depth > 0:
			s.depth--
		case s.depth > 0 && c == '\\':
			s.at++
		case s.depth == 0 && !strings.ContainsRune(" \t\r\n", rune(c)):
			return
		}
	}
	s.at = len(s.text)
}

// word reads up to one of the characters in end.
func (s *scanner) word(end string) string {
	start := s.at
	if n := strings.IndexAny(s.text[start:], end); n >= 0 {
		s.at += n
	} else {
		s.at = len(s.text)
	}
	return s.text[start:s.at]
}

// quoted reads a quoted string, and whether its end is there.
func (s *scanner) quoted() (text string, closed bool) {
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return b.String(), true
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			b.WriteByte(s.text[s.at])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), false
}

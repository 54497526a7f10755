package policy

import (
	"slices"
	"strings"
	"unicode"
)

// Subject is a subject made ready for comparing with others: without regard to case and to what can't be seen.
type Subject struct {
	forms []string // the whole subject first, then what is left behind each reply word
	known int      // how many of the first reply words are known ones
}

const (
	maxReplyWord = 30 // characters before the colon
	maxForms     = 8  // of one subject; what is left behind all its reply words is the last
)

// ReadSubject reads a decoded subject.
func ReadSubject(text string) Subject {
	s := Subject{forms: []string{strings.ToLower(Visible(text))}}
	known := true
	for {
		last := s.forms[len(s.forms)-1]
		rest, listed := behindReplyWord(last)
		if rest == last {
			return s
		}
		if len(s.forms) == maxForms {
			s.forms = s.forms[:maxForms-1]
		}
		s.forms = append(s.forms, rest)
		if known = known && listed; known {
			s.known = len(s.forms) - 1
		}
	}
}

// Forms are the subject as it is compared: whole, and without its first reply word, its first two, and so on.
func (s Subject) Forms() []string { return s.forms }

// Bare is the subject without any reply words. Subjects that fit each other have the same.
func (s Subject) Bare() string { return s.forms[len(s.forms)-1] }

// Each returns the subject with f of each of its forms, as for comparing hashes.
func (s Subject) Each(f func(string) string) Subject {
	forms := make([]string, len(s.forms))
	for n, form := range s.forms {
		forms[n] = f(form)
	}
	return Subject{forms, s.known}
}

// SubjectFit says how well the subject that a recall names fits a message's. Less is better.
type SubjectFit int

// Levels of a fit.
const (
	SameSubject    SubjectFit = iota
	WithoutReply              // the recall names it without its reply words, as Outlook does
	BothWithout               // reply words are taken off both, and off the recall's only known ones
	AnotherSubject            // it does not fit
)

// Fit compares what a recall names with the forms of a message's subject.
func (s Subject) Fit(forms []string) SubjectFit {
	for n, form := range s.forms[:s.known+1] {
		switch {
		case len(forms) == 0 || !slices.Contains(forms, form):
		case n > 0:
			return BothWithout
		case forms[0] == form:
			return SameSubject
		default:
			return WithoutReply
		}
	}
	return AnotherSubject
}

// WithoutReplyWords takes reply words and tags of gateways off a decoded subject, and keeps its case.
func WithoutReplyWords(text string) string {
	text = Visible(text)
	for {
		rest, _ := behindReplyWord(text)
		if rest == text {
			return text
		}
		text = rest
	}
}

// IsForward says whether a subject begins with a word for "forwarded", in whatever language. Tags before it don't
// count.
func IsForward(text string) bool {
	text = Visible(text)
	for strings.HasPrefix(text, "[") {
		rest, _ := behindReplyWord(text)
		if rest == text {
			return false
		}
		text = rest
	}
	word, _, _ := replyWord(text)
	return forwardWords[word]
}

// IsReply says whether a subject begins with a known word for "reply".
func IsReply(text string) bool {
	_, known := behindReplyWord(Visible(text))
	return known && !IsForward(text)
}

// behindReplyWord takes the first reply word, or the tag of a gateway, off a subject. known: it is a listed one, and
// not only short. A word of one to three letters counts as well: that is how Outlook tells (MS-OXCMSG section 2.2.1.9).
func behindReplyWord(text string) (rest string, known bool) {
	if tag, behind, ok := strings.Cut(text, "]"); ok && gatewayTags[strings.ToLower(strings.TrimPrefix(tag, "["))] &&
		tag[0] == '[' {
		return strings.TrimLeft(behind, " :"), true
	}
	word, rest, ok := replyWord(text)
	switch {
	case !ok:
		return text, false
	case replyWords[word] || forwardWords[word]:
		return strings.TrimSpace(rest), true
	case len([]rune(word)) <= 3 && onlyLetters(word) && !recallWords[word] && (rest == "" || rest[0] == ' '):
		return strings.TrimSpace(rest), false
	}
	return text, false
}

// replyWord cuts a subject at its first colon. The word is in lower case, without a full stop and without a counter, as
// in "Re[2]:" and "Antw.:".
func replyWord(text string) (word, rest string, ok bool) {
	at := strings.IndexAny(text, ":：")
	if at <= 0 || len([]rune(text[:at])) > maxReplyWord {
		return "", text, false
	}
	word = strings.TrimRight(strings.ToLower(text[:at]), ". 0123456789[]()^*")
	_, rest, _ = strings.Cut(text[at:], string([]rune(text[at:])[0]))
	return word, rest, word != ""
}

func onlyLetters(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
}

// Visible puts one blank for any run of white space, and takes out what can't be seen: marks of direction, and blanks
// of no width, which programs put around what they insert.
func Visible(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\u00AD', r == '\u061C', r == '\u200B', r == '\u200E', r == '\u200F', r == '\uFEFF',
			r >= '\u202A' && r <= '\u202E', r >= '\u2060' && r <= '\u206F':
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

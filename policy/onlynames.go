package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a sentence that names people without saying what it is about: "only for Bert please".
const (
	shortSentence = 6 // words
	shortNames    = 4 // words, where no "for" tells names from others
	earlyLines    = 5 // with text in them: further down are a signature and a disclaimer
	maxGap        = 3 // words between "only" and "for", as in "only the copy for Bert"
)

// Words of a sentence about a recall, by their beginnings: in English, and in other languages that mail programs speak.
var recallStems = strings.Fields(`recall retract withdraw revoke unsend undo cancel
	zurück rückruf widerruf stornier rappel
	annul retir récupér revoca cancel deshac retract intrek herroep
	återkall tilbakekall tilbagekald wycof odwoł odvol отозв
	отзыв 撤回 取り消 회수`)

// Prepositions before the one for whom a command is. Behind "for" any name counts, behind others one with a capital.
var forWhom = set(`for to from at with für an bei pour à para por per da voor aan til för till dla do pro для`)

// What follows "only" or "for" in ordinary sentences.
var (
	nobody = set(`you me us it once now today tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday
		internal official personal private business office information informational reference test testing tests kidding
		joking example emergencies emergency use fun weekdays weekends hours one two three a an in on by and or if when
		after because just`)
	determiners = set(`the this that these those your our my its any all every der die das den dem des le la les l un une
		el los las il lo gli de het en et o os as`)
)

// limits says whether sentences, which make a paragraph, say without an address for whom alone a command is: "please
// recall it only for Bert". early: the paragraph is not far down, where short sentences count as well.
func limits(paragraph string, early bool) bool {
	for _, sentence := range sentences(paragraph) {
		words := strings.FieldsFunc(sentence, func(r rune) bool {
			return r != '\'' && r != '’' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		})
		about := slices.ContainsFunc(words, isAboutRecall) || takesBack(words)
		short := early && len(words) <= shortSentence
		for n, w := range words {
			if isOnly(w) && (about && limitsAt(words, n, maxGap, false) || short && limitsAt(words, n, 0, true)) {
				return true
			}
		}
	}
	return false
}

// limitsAt looks at the words around "only". strict: nothing else says that the sentence is about a recall.
func limitsAt(words []string, only, gap int, strict bool) bool {
	name := func(n int, capital bool) bool {
		if n >= len(words) || n == only {
			return false
		}
		w := strings.ToLower(words[n])
		first, _ := utf8.DecodeRuneInString(words[n])
		return !nobody[w] && !forWhom[w] && !(strict && determiners[w]) && !(capital && unicode.IsLower(first))
	}
	for n := only + 1; n <= only+1+gap && n < len(words); n++ {
		if w := strings.ToLower(words[n]); forWhom[w] && name(n+1, w != "for") {
			return true
		}
	}
	for n := only - 1; n >= max(0, only-maxGap-1); n-- {
		if w := strings.ToLower(words[n]); forWhom[w] && n+1 < only && name(n+1, w != "for") {
			return true
		}
	}
	few := !strict || len(words) <= shortNames
	starts := equalFold(words[0], "only") && only == 0 && len(words) < shortNames // "only bert"
	ends := only == len(words)-1 && (strict && name(0, true) || !strict && only > 1 && name(only-1, true))
	return few && (name(only+1, !starts || !strict) || ends)
}

// isOnly says whether a word is "only", in any language.
func isOnly(word string) bool { return equalFold(word, "only") || elsewhere[strings.ToLower(word)] }

func isAboutRecall(word string) bool {
	word = strings.ToLower(word)
	return slices.ContainsFunc(recallStems, func(stem string) bool { return strings.HasPrefix(word, stem) })
}

// takesBack says whether a sentence asks to take, call or get something back.
func takesBack(words []string) bool {
	back := slices.IndexFunc(words, func(w string) bool { return equalFold(w, "back") })
	return back > 0 && slices.ContainsFunc(words[:back], func(w string) bool {
		return equalFold(w, "take") || equalFold(w, "call") || equalFold(w, "get") || equalFold(w, "pull")
	})
}

// sentences splits a paragraph behind full stops and the like; one within a word, as in an address, ends none.
func sentences(paragraph string) (all []string) {
	var b strings.Builder
	for _, w := range strings.Fields(paragraph) {
		b.WriteString(w + " ")
		if strings.HasSuffix(w, ".") || strings.HasSuffix(w, "!") || strings.HasSuffix(w, "?") {
			all = append(all, b.String())
			b.Reset()
		}
	}
	return append(all, b.String())
}

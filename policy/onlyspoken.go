package policy

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// elsewhere are words for "only" in other languages. They are not commands, but whoever writes one before an address
// means that recipient alone.
var elsewhere = set(`nur bloß ausschließlich seulement uniquement solo sólo solamente únicamente
	soltanto somente apenas só alleen slechts uitsluitend tylko wyłącznie pouze jen jenom iba csak sadece yalnız yalnızca
	endast bara kun bare vain ainoastaan samo doar numai μόνο только лишь лише тільки само 仅 僅 只 仅限 のみ だけ 오직 만 chỉ`)

// together are words for "only" that are written together with what is before them.
var together = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`@\S*(のみ|だけ|만)`)
})

// prose reads the lines of a text that are not a list.
type prose struct {
	paragraph []string
	lines     int  // with text in them
	signed    bool // a signature has begun
	limits    bool // it says for whom alone a command is
}

// add takes a line. Wrapped lines are one paragraph.
func (p *prose) add(line string) {
	switch {
	case p.signed || p.limits:
	case line == "--":
		p.endParagraph()
		p.signed = true
	case line == "":
		p.endParagraph()
	case strings.HasPrefix(line, ">"), strings.HasPrefix(line, "|"):
	default:
		p.lines++
		p.paragraph = append(p.paragraph, line)
		p.limits = speaksOfOnly(line) || limits(line, p.lines <= earlyLines)
	}
}

func (p *prose) endParagraph() {
	if text := strings.Join(p.paragraph, " "); len(p.paragraph) > 1 && !p.limits {
		p.limits = speaksOfOnly(text) || limits(text, p.lines <= earlyLines)
	}
	p.paragraph = nil
}

// speaksOfOnly says whether a text that does not begin with ONLY says in other words for which address alone a command
// is: "please recall it only for b@x.test", "for b@x.test only", "NUR b@x.test".
func speaksOfOnly(text string) bool {
	if !strings.Contains(text, "@") {
		return false
	}
	if together().MatchString(text) {
		return true
	}
	for _, sentence := range sentences(text) {
		words := strings.Fields(sentence)
		for n, word := range words {
			word = strings.ToLower(strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }))
			reach := 0 // how far behind the word an address may stand
			switch {
			case word == "only" && n == len(words)-1 && n > 0 && strings.Contains(words[n-1], "@"):
				return true
			case word == "only":
				reach = 3
			case elsewhere[word]:
				reach = 2
			}
			for _, next := range words[n+1 : min(n+1+reach, len(words))] {
				if strings.Contains(next, "@") {
					return true
				}
			}
		}
	}
	return false
}

// narrow turns the wide forms of ASCII, which East Asian keyboards write, into ASCII.
func narrow(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' {
			return r - '！' + '!'
		}
		return r
	}, text)
}

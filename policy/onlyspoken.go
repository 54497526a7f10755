package policy

import (
	"strings"
	"unicode"
)

// elsewhere are words for "only" in other languages. They are no commands, but whoever writes one before an address
// means that recipient alone.
var elsewhere = set(`nur bloß ausschließlich seulement uniquement solo sólo solamente únicamente
	soltanto somente apenas só alleen slechts uitsluitend tylko wyłącznie pouze jen jenom iba csak sadece yalnız yalnızca
	endast bara kun bare vain ainoastaan samo doar numai μόνο только лишь лише тільки само 仅 僅 只 仅限 のみ だけ 오직 만 chỉ`)

// speaksOfOnly says whether a line that does not begin with ONLY says in other words for whom alone a command is:
// "please recall it only for b@x.test", "for b@x.test only", "NUR b@x.test". Who names nobody by an address says
// nothing.
func speaksOfOnly(line string) bool {
	if !strings.Contains(line, "@") || strings.HasPrefix(line, ">") || strings.HasPrefix(line, "|") {
		return false
	}
	words := strings.Fields(line)
	for n, word := range words {
		word = strings.ToLower(strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }))
		reach := 0 // how far behind the word an address may stand
		switch {
		case word == "only" && n == len(words)-1 && n > 0 && strings.Contains(words[n-1], "@"):
			return true
		case word == "only":
			reach = 3
		case n == 0 && elsewhere[word]:
			reach = 2
		}
		for _, next := range words[n+1 : min(n+1+reach, len(words))] {
			if strings.Contains(next, "@") {
				return true
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

package command

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/policy"
)

// How mail programs show what they quote or forward. What is cut too much could widen a command to all recipients, so
// each form is one that nobody writes by hand.
var (
	// "> text", "| text", "AM> text".
	quotedLine = lazyregexp.New(`^(\pL{0,4}>|\|)`)
	// "-----Original Message-----", "---------- Forwarded message ---------", in any language, also with "From:" behind
	// it; the rule that Outlook draws; ">>> Anna 24.11.2026 >>>" of GroupWise, which GroupWise draws above lines
	// without marks.
	quoteRule = lazyregexp.New(`^([-_]{2,}\s*\pL[^@]*[-_]{2,}$|[-_]{4,}\s*\pL[^@]*?[-_]{4,}\s*\pL|_{10,}$|>>>.*>>>$)`)
	// "-----BEGIN PGP SIGNED MESSAGE-----", and what goes with it.
	armorLine = lazyregexp.New(`^-----BEGIN ([A-Z0-9 ]+)-----$`)
	// "From: Anna", "*Von:* Anna": a header that a program writes above what it quotes.
	headerLine = lazyregexp.New(`^\*?\pL[\pL\pM ./-]{0,30}\s?\*?\s?[:：]\*?\s*\S`)
	fromLine   = lazyregexp.New(`(?i)^\*?(from|von|de|da|van|från|fra|frá|lähettäjä|od|expéditeur` +
		`|remitente|mittente|remetente|kimden|gönderen|от|від|feladó|de la|šalje|pošiljatelj|από|nuo|saatja|dari|từ|จาก` +
		`|من|מאת|差出人|送信者|发件人|寄件者|보낸 사람)\s?\*?\s?[:：]`)
	// The header names an author: "Absender: Anna <anna@corp.test>".
	authorLine = lazyregexp.New(`[:：]\*?\s*[^<>@]*<[^<>@\s]+@[^<>@\s]+>\s*$`)
	// "On Tuesday, Anna <anna@corp.test> wrote:", and "-----Anna <anna@corp.test> wrote: -----" of Notes.
	attribution = lazyregexp.New(`(?i)(@|\d).*(wrote|writes|schrieb|a écrit|escribió|escribio|ha scritto|escreveu` +
		`|schreef|skrev` +
		`|kirjoitti|napsala?|napisała?|napísala?|írta|a scris|yazdı|написала?|пише` +
		`|έγραψε|viết|menulis|כתב|كتب|写道|寫道|のメール|님이 작성).{0,10}[:：][\s*-]*$`)
)

// beginsQuote says whether a line stands above a message that is quoted or forwarded, with the lines behind it.
func beginsQuote(line string, behind []string) bool {
	switch {
	case quoteRule.MatchString(line):
		return isSure(line, behind)
	case fromLine.MatchString(line), headerLine.MatchString(line) && authorLine.MatchString(line):
		return isHeader(behind)
	}
	return attribution.MatchString(line) && !isMarked(behind)
}

// isSure says whether a program drew the line: a header stands behind it on the line or below it, or a name in it.
func isSure(line string, behind []string) bool {
	if strings.HasPrefix(line, ">>>") || strings.ContainsAny(line, ":：") && strings.Contains(line, "@") {
		return true
	}
	for _, next := range behind[:min(len(behind), 3)] {
		if _, only := policy.CutOnly(next); only {
			return false
		}
		if isField(next) {
			return true
		}
	}
	return false
}

// isField says whether a line may be one of a header that is shown. ONLY is none, with a colon or without.
func isField(line string) bool {
	_, only := policy.CutOnly(line)
	return !only && headerLine.MatchString(policy.Visible(line))
}

// isHeader says whether lines of a header follow: two of the next three, before ONLY.
func isHeader(lines []string) bool {
	n := 0
	for _, line := range lines[:min(len(lines), 3)] {
		if _, only := policy.CutOnly(line); only {
			return false
		}
		if isField(line) {
			n++
		}
	}
	return n >= 2
}

// isMarked says whether the text that follows has a mark on each line: below it the sender may go on.
func isMarked(lines []string) bool {
	for _, line := range lines {
		if line = policy.Visible(line); line != "" {
			return strings.HasPrefix(line, ">") || strings.HasPrefix(line, "|")
		}
	}
	return false
}

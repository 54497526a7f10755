package mailmsg

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// maxProse is how many bytes a text for people may have, with what companies add below it.
const maxProse = 16 << 10

// notProse is what text for people does not have: files in it (uuencode, yEnc), and words of programs.
var notProse = lazyregexp.New(`(?im)^begin(-base64)? [0-7]{3,4} |^=ybegin |\AMZ[^a-z\s]|^\s*(#!|@echo\b|<\?|<%` +
	`|<!|rem\s+\S+\s*=|#include\b|%!ps|%pdf-|\{\\rtf)` +
	`|<\s*/?(script|html|head|body|svg|iframe|object|embed|form|meta|link|base)\b|\b(java|vb)script:` +
	`|\b(createobject|activexobject|getobject|wscript|powershell|invoke-expression|mshta|regsvr32|rundll32)\b` +
	`|\bcmd(\.exe)?\s+/[ck]\b|\b(eval|exec|system)\s*\(`)

// signs are frequent in programs, and rare in prose.
const (
	signs     = "{}=;$|\\`"
	signShare = 16 // one of so many characters
	signsFree = 6  // that any text may have
)

// IsProse says whether a text is only one for people.
func IsProse(text string) bool {
	if len(text) > maxProse || notProse.MatchString(text) {
		return false
	}
	n := 0
	for _, r := range text {
		switch {
		case r == '\t' || r == '\r' || r == '\n' || r == '\f':
		case r < ' ' || r == 0x7f:
			return false
		case strings.ContainsRune(signs, r):
			n++
		}
	}
	return n <= signsFree || n <= len(text)/signShare
}

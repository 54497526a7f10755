package post

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNoLineOfAReportIsTooLong(t *testing.T) {
	for name, text := range map[string]string{
		"short":             "a\r\nb\r\n",
		"just fits":         strings.Repeat("x", 998) + "\r\nb\r\n",
		"a byte more":       strings.Repeat("x", 999) + "\r\nb",
		"words":             strings.Repeat("word ", 900) + "\r\n",
		"wide characters":   "x" + strings.Repeat("\u65e5", 2000) + "\r\n",
		"one blank, early":  "a " + strings.Repeat("x", 3000),
		"not UTF-8 at all":  strings.Repeat("\x80", 3000) + "\r\n",
		"several, no break": strings.Repeat("y", 5000),
	} {
		for _, indent := range []string{"", " "} {
			got := foldLines(text, indent)
			for line := range strings.Lines(got) {
				if len(strings.TrimRight(line, "\r\n")) > maxLineLength {
					t.Errorf("%s: a line of %d bytes", name, len(line))
				}
			}
			if again := strings.NewReplacer("\r\n"+indent, "", "\r\n", "").Replace(got); again != strings.NewReplacer("\r\n",
				"").Replace(text) {
				t.Errorf("%s: text was lost", name)
			}
			if utf8.ValidString(text) != utf8.ValidString(got) {
				t.Errorf("%s: a character was cut", name)
			}
		}
	}
}

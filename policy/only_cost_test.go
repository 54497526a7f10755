package policy

import (
	"strings"
	"testing"
	"time"
)

// A command has up to a megabyte of text, and many may send one: what is read of it takes no more time than its length.
func TestReadingOnlyTakesNoLongerThanTheTextIs(t *testing.T) {
	const size = 1 << 20
	repeated := func(text string) string { return strings.Repeat(text, size/len(text)) }
	for name, text := range map[string]string{
		"a list on each line":         repeated("ONLY a@b.test,\n"),
		"the word alone":              repeated("ONLY ONLY ONLY ONLY\n"),
		"lists that end in others":    repeated(strings.Repeat("only w w w w <a@b.test>,\n", 999) + "x.y.z\n"),
		"one line of the same":        "ONLY " + repeated("a@b.test, "),
		"one line of brackets":        "ONLY " + repeated("<a@b.test> "),
		"a bracket that never ends":   "ONLY " + repeated("a <"),
		"one line, and a far bracket": "ONLY " + repeated("a@b.test, ") + "<",
		"quotes":                      "ONLY " + repeated("\"a\" "),
	} {
		began := time.Now()
		ReadOnly(strings.Split(text, "\n"))
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

// What is too much to be read is for nobody, never for all.
func TestAListThatIsTooLongIsForNobody(t *testing.T) {
	for name, text := range map[string]string{
		"the same again and again":  "only w w w w <a@b.test>, " + strings.Repeat("a@b.test, ", maxItems+maxOnly),
		"lists that are none":       strings.Repeat(strings.Repeat("only w w w w <a@b.test>,\n", 900)+"x.y.z\n", 20),
		"list behind what is prose": strings.Repeat("ONLY a@b.test\n\n", maxOnly+1),
	} {
		if o := ReadOnly(strings.Split(text, "\n")); !o.Unclear {
			t.Errorf("%s: %d addresses, and clear", name, len(o.Addresses))
		}
	}
}

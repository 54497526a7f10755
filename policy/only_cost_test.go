package policy

import (
	"strings"
	"testing"
	"time"
)

// A command has up to a megabyte of text, and many may send one: what is read of it takes no more time than its length.
// Eight times the text takes eight times as long, and not 64 times.
func TestReadingOnlyTakesNoLongerThanTheTextIs(t *testing.T) {
	const size = 1 << 19
	for name, c := range map[string]struct{ begin, again, end string }{
		"a list on each line":         {"", "ONLY a@b.test,\n", ""},
		"the word alone":              {"", "ONLY ONLY ONLY ONLY\n", ""},
		"lists that end in others":    {"", strings.Repeat("only w w w w <a@b.test>,\n", 999) + "x.y.z\n", ""},
		"one line of the same":        {"ONLY ", "a@b.test, ", ""},
		"one line of brackets":        {"ONLY ", "<a@b.test> ", ""},
		"a bracket that never ends":   {"ONLY ", "a <", ""},
		"one line, and a far bracket": {"ONLY ", "a@b.test, ", "<"},
		"quotes":                      {"ONLY ", "\"a\" ", ""},
	} {
		took := func(size int) time.Duration {
			lines := strings.Split(c.begin+strings.Repeat(c.again, size/len(c.again))+c.end, "\n")
			began := time.Now()
			ReadOnly(lines)
			return time.Since(began)
		}
		if eighth, whole := took(size/8), took(size); whole > 24*eighth+time.Second {
			t.Errorf("%s: %v, and an eighth of it %v", name, whole, eighth)
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

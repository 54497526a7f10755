package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A command has up to a megabyte of text, and many may send one: what is read of it takes no more time than its length.
// Eight times the text takes eight times as long, and not 64 times, and no text takes far longer than plain one.
func TestReadingOnlyTakesNoLongerThanTheTextIs(t *testing.T) {
	const size = 1 << 19
	plain := server.Linear(t, "plain text", func(part int) func() {
		lines := slices.Repeat([]string{"Please take back what I sent to them this morning."}, size/part/50)
		return func() { ReadOnly(lines) }
	})
	for name, c := range map[string]struct{ begin, again, end string }{
		"a list on each line":         {"", "ONLY a@b.test,\n", ""},
		"the word alone":              {"", "ONLY ONLY ONLY ONLY\n", ""},
		"lists that end in others":    {"", strings.Repeat("only w w w w <a@b.test>,\n", 999) + "x.y.z\n", ""},
		"a list that ends in others":  {"", "only w w w w <a@b.test>,\n", "x.y.z\n"},
		"one line of the same":        {"ONLY ", "a@b.test, ", ""},
		"one line of brackets":        {"ONLY ", "<a@b.test> ", ""},
		"a bracket that never ends":   {"ONLY ", "a <", ""},
		"one line, and a far bracket": {"ONLY ", "a@b.test, ", "<"},
		"quotes":                      {"ONLY ", "\"a\" ", ""},
	} {
		takes := server.Linear(t, name, func(part int) func() {
			lines := strings.Split(c.begin+strings.Repeat(c.again, size/part/len(c.again))+c.end, "\n")
			return func() { ReadOnly(lines) }
		})
		if takes > 50*plain {
			t.Errorf("%s: %v, and as much plain text %v", name, takes, plain)
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

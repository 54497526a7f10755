package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/recall-milter/recall-milter/test/server"
)

// book is a list that does not change.
type book struct{ entries *Entries }

func (b book) Name() string      { return "book" }
func (b book) Entries() *Entries { return b.entries }

// shelf returns a way to find the book with these lines.
func shelf(t rapid.TB, lines ...string) func(string) (List, error) {
	t.Helper()
	e := &Entries{}
	for n, line := range lines {
		if err := e.Add(n+1, line); err != nil {
			t.Fatal(err)
		}
	}
	return func(string) (List, error) { return book{e}, nil }
}

// A list in a file means what its lines mean when they are written into the config.
func TestAListMeansWhatItsLinesMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`!?(\*|\*@|\*\.|\*@\*\.|a|\?)?(a|b|A|@|\.|a@b|b\.a|/a@/|/^B/)?[ab]`)
		lines := rapid.SliceOfN(line, 1, 4).Draw(t, "lines")
		more := rapid.SliceOfN(line, 0, 2).Draw(t, "more")
		for _, l := range lines {
			if strings.HasPrefix(strings.TrimPrefix(l, "!"), "@") {
				t.Skip()
			}
		}
		for _, l := range more {
			if strings.HasPrefix(strings.TrimPrefix(l, "!"), "@") {
				t.Skip()
			}
		}
		value := rapid.StringMatching(`[aAb.@]{0,6}`).Draw(t, "value")
		plain, err := ParsePatterns(append(more[:len(more):len(more)], lines...))
		if err != nil {
			t.Fatal(err)
		}
		named, err := ParseLists(append(more[:len(more):len(more)], "@book"), shelf(t, lines...))
		if err != nil {
			t.Fatal(err)
		}
		if plain.Match(value) != named.Match(value) || plain.Names(value) != named.Names(value) {
			t.Fatalf("%q: %v and %v, names %v and %v", value, plain.Match(value), named.Match(value), plain.Names(value),
				named.Names(value))
		}
	})
}

func TestAListThatIsExcludedOrEmpty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list, lines, value string
		want               bool
	}{
		{"* !@book", "a@x.test *@y.test", "a@x.test", false},
		{"* !@book", "a@x.test *@y.test", "b@x.test", true},
		{"!@book", "a@x.test", "b@x.test", true},
		{"!@book", "*@x.test !a@x.test", "a@x.test", true},
		{"@book", "", "b@x.test", false},
		{"!a@x.test @book", "", "b@x.test", false}, // it has become empty: nobody is in it, and not everybody else
		{"* !@book", "", "b@x.test", true},
		{"@book", "*@*.x.test", "b@y.x.test", true},
		{"@book", "*@*.x.test", "y.x.test", false},
		{"@book", "*.x.test", "y.x.test", true},
		{"@book", "*Key*", "monkey@x.test", true},
	} {
		l, err := ParseLists(strings.Fields(c.list), shelf(t, strings.Fields(c.lines)...))
		if err != nil || l.Match(c.value) != c.want {
			t.Errorf("%q with %q in it, on %q: %v, %v", c.list, c.lines, c.value, !c.want, err)
		}
	}
	for _, list := range []string{"@x", "!@x"} {
		if _, err := ParsePatterns([]string{list}); err == nil || !strings.Contains(err.Error(), "*@x") {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// A rule says which line of which file has decided.
func TestTheLineThatDecidedIsNamed(t *testing.T) {
	t.Parallel()
	sender, err := ParseLists([]string{"@book"}, shelf(t, "x@y.test", "*@Corp.test", "!boss@corp.test"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewOutbound(Options{Authenticated: true, Rules: []Rule{{Name: "vip", Conditions: []Condition{IfSender(sender)}}}})
	for from, want := range map[string]string{
		"a@corp.test":    "rule vip: sender [@book]: holds (book:2: *@corp.test)",
		"BOSS@corp.test": "rule vip: sender [@book]: does not hold (book:3: !boss@corp.test)",
		"a@z.test":       "rule vip: sender [@book]: does not hold",
	} {
		v := p.Decide(Facts{Known: AtEnd, Login: "a", Sender: from, Explain: true})
		if len(v.Steps) == 0 || v.Steps[0] != want {
			t.Errorf("%s: %q", from, v.Steps)
		}
	}
}

// A hostile value costs no more than its length: many places at which a domain could begin.
func TestNoValueIsExpensive(t *testing.T) {
	entries := []string{"*." + strings.Repeat("a.", 450) + "test"}
	for n := range 100 { // a small map looks at lengths first
		entries = append(entries, fmt.Sprintf("*@x%d.test", n))
	}
	l, _ := ParseLists([]string{"@book"}, shelf(t, entries...))
	server.Linear(t, "many places", func(part int) func() {
		value := strings.Repeat("@.", 100_000/part)
		return func() { l.Match(value) }
	})
}

// What a decision costs: without rules, with 50, and with 50 of which each asks a list of 100,000 lines. Patterns
// alone; no mail is moved.
func BenchmarkDecide(b *testing.B) {
	lines := make([]string, 100_000)
	for n := range lines {
		lines[n] = fmt.Sprintf("person%d@dept%d.corp.test", n, n%100)
		if n%3 == 0 {
			lines[n] = fmt.Sprintf("*@client%d.test", n)
		}
	}
	open := shelf(b, lines...)
	for name, text := range map[string]string{"none": "", "50 rules": "nobody%d@corp.test", "50 rules, a list": "@book"} {
		o := Options{Authenticated: true, Grace: time.Minute}
		for n := range 50 {
			if text == "" {
				break
			}
			pattern := text
			if strings.Contains(text, "%") {
				pattern = fmt.Sprintf(text, n)
			}
			l, err := ParseLists([]string{pattern}, open)
			if err != nil {
				b.Fatal(err)
			}
			o.Rules = append(o.Rules, Rule{Name: fmt.Sprint("r", n), Conditions: []Condition{IfSender(l), IfRecipient(l)}})
		}
		p := NewOutbound(o)
		f := Facts{Known: AtHeaders, Login: "anna", Sender: "anna@corp.test",
			Recipients: []string{"b@far.test", "c@client9999.other.test"}}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Decide(f)
			}
		})
	}
}

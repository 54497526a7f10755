package policy

import "testing"

func TestADomainThatResemblesAnother(t *testing.T) {
	t.Parallel()
	x := newLikeness([]string{"corp.test", "acme-trading.example", "bücher.example"})
	for domain, want := range map[string]string{
		"gmial.com": "gmail.com", "gmai.com": "gmail.com", "gmaill.com": "gmail.com", "gnail.com": "gmail.com",
		"GMIAL.COM": "gmail.com", "mx.gmial.com": "gmail.com", "gmail.con": "gmail.com", "gmail.co": "gmail.com",
		"gmail.cmo": "gmail.com", "gmail.com": "", "mail.gmail.com": "", "hotmial.co.uk": "hotmail.co.uk",
		"acme-tradin.example": "acme-trading.example", "acmetrading.example": "acme-trading.example",
		"acme-trading.test": "acme-trading.example", "acrne-trading.example": "acme-trading.example",
		"аcme-trading.example":        "acme-trading.example", // with a Cyrillic letter
		"xn--cme-trading-xij.example": "acme-trading.example", // the same
		"acme-tradíng.example":        "acme-trading.example", "acme-trad1ng.example": "acme-trading.example",
		"bùchèr.example": "bücher.example", "bucher.example": "bücher.example",
		"xn--bcher-kva.example": "", "buecher.example": "",
		"corp.example": "", "cord.test": "", "c0rp.test": "corp.test", "corp.test": "", "lab.corp.test": "",
		"yahoo.fr": "", "gmx.ch": "", "ymail.com": "", "email.com": "", "example.org": "", "test": "", "": "", "gmx.org": "",
		"outlok.com": "outlook.com", "web.dd": "", "vveb.de": "web.de", "acme-tracling.example": "acme-trading.example",
	} {
		if got := x.of(domain); got != want {
			t.Errorf("%q resembles %q, want %q", domain, got, want)
		}
	}
}

// Each well-known domain is none that is taken for another.
func TestWellKnownDomainsAreTheirOwn(t *testing.T) {
	t.Parallel()
	x := newLikeness(nil)
	for _, d := range wellKnown {
		if got := x.of(d); got != "" {
			t.Errorf("%s resembles %s", d, got)
		}
	}
}

// Local domains are compared as the file with them changes.
func TestLocalDomainsOfAFileAreCompared(t *testing.T) {
	t.Parallel()
	local, err := ParseLists([]string{"@book", "*.other-site.test"}, shelf(t, "first-site.test"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewOutbound(Options{LocalDomains: local})
	for domain, want := range map[string]string{"frist-site.test": "first-site.test",
		"othersite.test": "other-site.test"} {
		if got := p.likeness().of(domain); got != want {
			t.Errorf("%s resembles %q", domain, got)
		}
	}
	if first := p.likeness(); first != p.likeness() {
		t.Error("it is made again for each message")
	}
}

// changing is a list whose entries can be replaced, as those of a file.
type changing struct{ entries *Entries }

func (*changing) Name() string { return "changing" }

func (c *changing) Entries() *Entries { return c.entries }

// What is compared is what the files have now; a domain that a list excludes is none of the site's.
func TestLocalDomainsAreComparedAsTheyAreNow(t *testing.T) {
	t.Parallel()
	c := &changing{}
	has := func(line string) {
		c.entries = &Entries{}
		if err := c.entries.Add(1, line); err != nil {
			t.Fatal(err)
		}
	}
	has("first-site.test")
	local, err := ParseLists([]string{"!excluded-site.test", "@changing"},
		func(string) (List, error) { return c, nil })
	if err != nil {
		t.Fatal(err)
	}
	p := NewOutbound(Options{LocalDomains: local})
	resembles := func(domain, want string) {
		t.Helper()
		if got := p.likeness().of(domain); got != want {
			t.Errorf("%s resembles %q, want %q", domain, got, want)
		}
	}
	resembles("frist-site.test", "first-site.test")
	resembles("exclduded-site.test", "")
	has("second-site.test")
	resembles("frist-site.test", "")
	resembles("secnod-site.test", "second-site.test")
}

func TestFirstContactAndLookalikeAskTheMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		condition Condition
		to        []string
		known     []string // of the answers; "?" before one: it could not be asked
		want      answer
		value     string
	}{
		{"new", IfFirstContact(true), []string{"a@corp.test", "B@far.test"}, nil, yes, "B@far.test"},
		{"known", IfFirstContact(true), []string{"b@far.test"}, []string{"b@far.test"}, no, ""},
		{"one of two", IfFirstContact(true), []string{"b@far.test", "c@far.test"}, []string{"b@far.test"}, yes, "c@far.test"},
		{"inside", IfFirstContact(true), []string{"new@corp.test"}, nil, no, ""},
		{"nobody can say", IfFirstContact(true), []string{"b@far.test"}, []string{"?b@far.test"}, unknown, ""},
		{"new, and not asked", IfFirstContact(true), []string{"b@far.test", "c@far.test"}, []string{"?b@far.test"}, yes,
			"c@far.test"},
		{"no new one", IfFirstContact(false), []string{"b@far.test"}, []string{"b@far.test"}, yes, ""},
		{"a new one", IfFirstContact(false), []string{"b@far.test"}, nil, no, "b@far.test"},
		{"looks alike", IfLookalike(true), []string{"b@gmial.com"}, nil, yes, "gmial.com resembles gmail.com"},
		{"looks alike, known", IfLookalike(true), []string{"b@gmial.com"}, []string{"gmial.com"}, no,
			"gmial.com resembles gmail.com, and is known"},
		{"our own, by a wildcard", IfLookalike(true), []string{"b@hotmial.com"}, nil, no, ""},
		{"looks like nothing", IfLookalike(true), []string{"b@far.test"}, nil, no, ""},
		{"nobody can say of it", IfLookalike(true), []string{"b@gmial.com"}, []string{"?gmial.com"}, unknown,
			"gmial.com resembles gmail.com"},
	} {
		p := NewOutbound(Options{LocalDomains: patterns(t, "corp.test", "hotmial.*"),
			Rules: []Rule{{Conditions: []Condition{c.condition}}}})
		f := Facts{Known: AtEnd, Sender: "A@corp.test", Recipients: c.to,
			Answers: map[Question]Answer{}, asks: map[Question]bool{}}
		p.meets(&p.o.Rules[0], &f, &Verdict{})
		for q := range f.asks {
			f.Answers[q] = missing
			if q.Map == WrittenTo && q.Sender != "a@corp.test" {
				t.Errorf("%s: asks %+v", c.name, q)
			}
		}
		for _, key := range c.known {
			for _, q := range []Question{{WrittenTo, key, "a@corp.test"}, {DomainKnown, key, ""}} {
				f.Answers[q] = found
			}
			if key[0] == '?' {
				f.Answers[Question{WrittenTo, key[1:], "a@corp.test"}] = Answer{}
				f.Answers[Question{DomainKnown, key[1:], ""}] = Answer{}
			}
		}
		for range 5 { // each answer may lead to another question
			p.meets(&p.o.Rules[0], &f, &Verdict{})
			for q := range f.asks {
				if _, asked := f.Answers[q]; !asked {
					f.Answers[q] = missing
				}
			}
		}
		a, by := c.condition.holds(p, &f)
		if a != c.want || by.Value != c.value {
			t.Errorf("%s: %v (%s)", c.name, a, by.Value)
		}
	}
}

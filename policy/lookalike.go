package policy

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

//go:embed confusables.txt
var confusablesText string

//go:embed wellknown.txt
var wellKnownText string

// wellKnown are the domains of large mail providers.
var wellKnown = func() (all []string) {
	for line := range strings.Lines(wellKnownText) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, strings.Fields(line)...)
		}
	}
	return all
}()

// confusables has for a character what it looks like.
var confusables = func() map[rune]string {
	all := map[rune]string{'m': "rn", 'w': "vv", '0': "o", '1': "l"} // of ASCII itself
	for line := range strings.Lines(confusablesText) {
		like, some, _ := strings.Cut(strings.TrimSpace(line), " ")
		if like == "#" {
			continue
		}
		for _, r := range some {
			all[r] = skeletonOf(strings.ToLower(like), all)
		}
	}
	return all
}()

// skeleton is the same for two names that look alike (UTS 39 section 4). Accents are left out as well, as they are
// easily missed in a small print.
func skeleton(name string) string { return skeletonOf(norm.NFD.String(name), confusables) }

func skeletonOf(name string, like map[rune]string) string {
	var b strings.Builder
	for _, r := range name {
		switch s, ok := like[r]; {
		case ok:
			b.WriteString(s)
		case !unicode.Is(unicode.Mn, r):
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "cl", "d")
}

// registered splits the part of a domain that somebody has registered into its own label and the suffix behind it, both
// in U-labels and lower case: "mail.corp.co.uk" is "corp" and "co.uk".
func registered(domain string) (label, suffix string) {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	if u, err := idna.Punycode.ToUnicode(domain); err == nil {
		domain = strings.ToLower(u)
	}
	suffix, _ = publicsuffix.PublicSuffix(domain)
	label = strings.TrimSuffix(strings.TrimSuffix(domain, suffix), ".")
	return label[strings.LastIndexByte(label, '.')+1:], suffix
}

// maxIndexed bounds the local domains that are compared; a site with more has lists of customers in there.
const maxIndexed = 10_000

// shortest is the shortest label, in characters, of which a single difference is not another name.
const shortest = 5

// likeness finds among some domains the one that another resembles.
type likeness struct {
	exact     map[string]bool     // by label and suffix
	skeletons map[string]string   // domain by skeleton
	deletions map[string][]string // domains by their label less one character, and by the label, "+" and suffix
	labels    map[string]string   // local domains by label
}

// newLikeness compares with well-known and local domains.
func newLikeness(local []string) *likeness {
	x := &likeness{exact: map[string]bool{}, skeletons: map[string]string{}, deletions: map[string][]string{},
		labels: map[string]string{}}
	for n, domain := range append(slices.Clone(local[:min(len(local), maxIndexed)]), wellKnown...) {
		label, suffix := registered(domain)
		name := label + "." + suffix
		if x.exact[name] || label == "" {
			continue
		}
		x.exact[name] = true
		x.skeletons[skeleton(name)] = name
		for _, d := range deletions(label) {
			x.deletions[d+"+"+suffix] = append(x.deletions[d+"+"+suffix], name)
		}
		if n < len(local) && len([]rune(label)) >= shortest {
			x.labels[label] = name
		}
		for _, d := range deletions(suffix) {
			x.deletions["+"+label+"+"+d] = append(x.deletions["+"+label+"+"+d], name)
		}
	}
	return x
}

// deletions are a text and all that is left of it without one of its characters.
func deletions(text string) []string {
	all, runes := []string{text}, []rune(text)
	for n := range runes {
		all = append(all, string(runes[:n])+string(runes[n+1:]))
	}
	return all
}

// of returns the domain that another resembles: it looks the same, its name differs by one letter or by two that have
// changed places, or so does its suffix. "": none.
func (x *likeness) of(domain string) string {
	label, suffix := registered(domain)
	name := label + "." + suffix
	if label == "" || x.exact[name] {
		return ""
	}
	if other := x.skeletons[skeleton(name)]; other != "" {
		return other
	}
	if len([]rune(label)) >= shortest-1 {
		for _, d := range deletions(label) {
			for _, other := range x.deletions[d+"+"+suffix] {
				theirs, _ := registered(other)
				if len([]rune(theirs)) >= shortest && oneEdit(label, theirs) {
					return other
				}
			}
		}
	}
	if len([]rune(label)) < shortest {
		return ""
	}
	for _, d := range deletions(suffix) {
		for _, other := range x.deletions["+"+label+"+"+d] {
			if _, theirs := registered(other); oneEdit(suffix, theirs) {
				return other
			}
		}
	}
	return x.labels[label]
}

// oneEdit says whether one letter more, less, or another, or two that change places, make one text of the other.
func oneEdit(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) < len(y) {
		x, y = y, x
	}
	n := 0
	for n < len(y) && x[n] == y[n] {
		n++
	}
	switch {
	case len(x) == len(y)+1:
		return slices.Equal(x[n+1:], y[n:])
	case len(x) != len(y) || n == len(x):
		return false
	case slices.Equal(x[n+1:], y[n+1:]):
		return true
	}
	return n+1 < len(x) && x[n] == y[n+1] && x[n+1] == y[n] && slices.Equal(x[n+2:], y[n+2:])
}

// domains lists the literal domains of a list, as far as it has some: of "corp.test" and "*.corp.test".
func (l Patterns) domains() (all []string) {
	for n := range l {
		p := &l[n]
		switch {
		case p.excludes:
		case p.form == equals || p.form == ends:
			all = append(all, strings.TrimPrefix(p.literal, "."))
		case p.form == listed:
			all = append(all, p.list.Entries().domains()...)
		}
	}
	return all
}

func (e *Entries) domains() (all []string) {
	for _, index := range []map[string]int32{e.plain[0].equals, e.plain[0].ends} {
		for d := range index {
			if all = append(all, strings.TrimPrefix(d, ".")); len(all) >= maxIndexed {
				return all
			}
		}
	}
	return all
}

// versions are the entries in force of the lists that a list names: they are replaced when a file changes.
func (l Patterns) versions() (all []*Entries) {
	for n := range l {
		if l[n].form == listed {
			all = append(all, l[n].list.Entries())
		}
	}
	return all
}

// compared is a likeness with local domains, as long as their lists don't change.
type compared struct {
	*likeness
	of []*Entries
}

// likeness returns what compares with the local domains of now.
func (p *Outbound) likeness() *likeness {
	now := p.o.LocalDomains.versions()
	if c := p.compared.Load(); c != nil && slices.Equal(c.of, now) {
		return c.likeness
	}
	c := &compared{newLikeness(p.o.LocalDomains.domains()), now}
	p.compared.Store(c)
	return c.likeness
}

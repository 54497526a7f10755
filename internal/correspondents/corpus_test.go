package correspondents

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// corpus makes the external mail of an office in the order of time, the same each time: the model that docs/rules.md,
// "How often they are wrong", describes. It is not real mail, and its shares are assumptions; they are here and nowhere
// else.
type corpus struct {
	chance   *rand.Rand
	contacts *rand.Zipf         // of the pool, most popular first
	pool     []string           // addresses that the office may write to
	books    [people][]string   // of each person, most frequent first
	inbox    [people][]string   // who has written to them, and was not answered yet
	known    map[[2]string]bool // who has ever exchanged mail, also before the first message
	byRank   *rand.Zipf         // of a person's book
	typos    []func(string) string
}

const (
	people   = 80
	poolSize = 4000
	bookSize = 60  // contacts from before
	perDay   = 250 // messages that leave on a working day
	local    = "nordbau.example"
)

// message is one of the corpus.
type message struct {
	at   time.Duration // since the first day
	from string
	to   []string
	came bool // it came in
	typo bool // one recipient is mistyped
	met  bool // the sender has exchanged mail with all recipients before
}

func newCorpus() *corpus {
	c := &corpus{chance: rand.New(rand.NewPCG(22, 28)), known: map[[2]string]bool{}}
	for n := range poolSize {
		c.pool = append(c.pool, fmt.Sprintf("%s%d@%s", firstNames[c.chance.IntN(len(firstNames))], n, c.domain()))
	}
	c.contacts = rand.NewZipf(c.chance, 1.1, 20, poolSize-1)
	c.byRank = rand.NewZipf(c.chance, 1.3, 3, bookSize-1)
	for n := range people {
		for range bookSize {
			c.meet(n, c.pool[c.contacts.Uint64()])
		}
	}
	c.typos = []func(string) string{c.swap, c.drop, c.double, c.neighbour}
	return c
}

func person(n int) string { return fmt.Sprintf("p%d@%s", n, local) }

// meet puts a contact into a person's book.
func (c *corpus) meet(n int, contact string) {
	c.known[[2]string{person(n), contact}] = true
	if !slices.Contains(c.books[n], contact) {
		c.books[n] = append(c.books[n], contact)
	}
}

var (
	firstNames = strings.Fields("anna bert carla dieter eva frank gina hans ida jan karin lars maria nils olga paul")
	stems      = strings.Fields("nord sued west ost alpen rhein bau tech soft media consult stahl auto medi druck " +
		"holz glas papier energie solar wasser umwelt daten netz foto labor pharma agrar food textil mode reise " +
		"hotel immo finanz steuer recht bank invest handel markt logistik trans cargo air sea rail global euro inter " +
		"neo nova alpha delta omega prime star sun blue green red grand royal city home care")
	suffixes  = strings.Fields("de de de de com com com net eu org fr co.uk at ch it nl")
	providers = strings.Fields("gmail.com gmail.com gmail.com gmx.de gmx.de web.de web.de outlook.com hotmail.com " +
		"t-online.de yahoo.de yahoo.com icloud.com aol.com gmx.net posteo.de freenet.de orange.fr bluewin.ch")
	// branches are real domains of providers that the list of well-known ones lacks: they resemble others of it.
	branches = strings.Fields("hotmail.be hotmail.se hotmail.nl outlook.jp outlook.be yahoo.se yahoo.pl yahoo.com.mx " +
		"orange.es orange.pl tiscali.co.uk yandex.by icloud.dk outlook.at hotmail.ch")
)

// domain is where somebody has their mail: a company (three of four), a provider, or now and then a provider's branch.
func (c *corpus) domain() string {
	switch n := c.chance.IntN(100); {
	case n < 1:
		return branches[c.chance.IntN(len(branches))]
	case n < 25:
		return providers[c.chance.IntN(len(providers))]
	case n < 32: // three or four letters
		name := ""
		for range 3 + c.chance.IntN(2) {
			name += string(rune('a' + c.chance.IntN(26)))
		}
		return name + "." + suffixes[c.chance.IntN(len(suffixes))]
	}
	name := stems[c.chance.IntN(len(stems))] + stems[c.chance.IntN(len(stems))]
	return name + "." + suffixes[c.chance.IntN(len(suffixes))]
}

// messages yields the corpus of some working days.
func (c *corpus) messages(workdays int, yield func(message)) {
	active := rand.NewZipf(c.chance, 1.2, 10, people-1)
	for day := range workdays {
		at := time.Duration(day/5*7+day%5)*24*time.Hour + 8*time.Hour
		for range perDay {
			at += 10 * time.Hour / perDay
			n := int(active.Uint64())
			for range 1 + c.chance.IntN(2) { // somebody writes to them, or two do
				yield(c.arrives(at, n))
			}
			yield(c.leaves(at+time.Minute, n))
		}
	}
}

// arrives is a message from a contact, or from a stranger.
func (c *corpus) arrives(at time.Duration, n int) message {
	from := c.books[n][int(c.byRank.Uint64())%len(c.books[n])]
	if c.chance.IntN(100) < 15 {
		from = fmt.Sprintf("s%d@%s", c.chance.IntN(1_000_000), c.domain())
	}
	c.inbox[n] = append(c.inbox[n], from)
	c.known[[2]string{person(n), from}] = true
	return message{at: at, from: from, to: []string{person(n)}, came: true}
}

// leaves is an answer (a half), or a message to whom the person knows, or to a new contact (one of 25 of these). One of
// 100 that are no answers is mistyped.
func (c *corpus) leaves(at time.Duration, n int) message {
	m := message{at: at, from: person(n), met: true}
	if box := c.inbox[n]; len(box) > 0 && c.chance.IntN(100) < 50 {
		m.to, c.inbox[n] = box[len(box)-1:], nil
		return m
	}
	for range max(1, c.chance.IntN(10)-6) { // mostly one, up to three
		to := c.books[n][int(c.byRank.Uint64())%len(c.books[n])]
		if c.chance.IntN(25) == 0 {
			to = c.pool[c.contacts.Uint64()]
		}
		if !slices.Contains(m.to, to) {
			m.to = append(m.to, to)
		}
	}
	if c.chance.IntN(100) == 0 {
		right := m.to[0]
		m.to[0] = c.mistype(right)
		m.typo = m.to[0] != right
	}
	for _, to := range m.to {
		m.met = m.met && c.known[[2]string{m.from, to}]
		if !m.typo {
			c.meet(n, to)
		}
	}
	return m
}

// mistype makes one mistake: in the name of the domain (60 of 100), in its ending (15), or before the @.
func (c *corpus) mistype(address string) string {
	name, domain, _ := strings.Cut(address, "@")
	label, suffix, _ := strings.Cut(domain, ".")
	mistake := c.typos[c.chance.IntN(len(c.typos))]
	switch n := c.chance.IntN(100); {
	case n < 60:
		label = mistake(label)
	case n < 75:
		suffix = mistake(suffix)
	default:
		name = mistake(name)
	}
	return name + "@" + label + "." + suffix
}

func (c *corpus) swap(s string) string {
	n := c.chance.IntN(len(s) - 1)
	return s[:n] + s[n+1:n+2] + s[n:n+1] + s[n+2:]
}

func (c *corpus) drop(s string) string {
	n := c.chance.IntN(len(s))
	if len(s) < 2 {
		return s
	}
	return s[:n] + s[n+1:]
}

func (c *corpus) double(s string) string {
	n := c.chance.IntN(len(s))
	return s[:n] + s[n:n+1] + s[n:]
}

// neighbour hits the next key.
func (c *corpus) neighbour(s string) string {
	const keys = "qwertzuiopasdfghjklyxcvbnm1234567890"
	n := c.chance.IntN(len(s))
	k := strings.IndexByte(keys, s[n])
	if k < 0 {
		return s
	}
	return s[:n] + string(keys[(k+1)%len(keys)]) + s[n+1:]
}

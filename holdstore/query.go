package holdstore

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Query selects holds. Empty fields do not select. Text fields are exact addresses (answered by an index) or globs
// with * and ? (bounded scan), case-insensitive; Subject is a glob or a plain substring. Client has no index: most
// sites have a few clients that send nearly all their mail.
type Query struct {
	States                                    []State   // nil: held and releasing
	Sender, Recipient, Subject, Login, Client string    // Client: an IP address or CIDR
	MessageID                                 string    // exact, with or without angle brackets
	Since, Until                              time.Time // of HeldAt

	AnyOrder bool                 // show each as soon as it is found
	Progress func(looked, of int) // nil, or called now and then: how many holds were looked at, of how many
}

// matcher is a Query made ready.
type matcher struct {
	q                                 Query
	sender, recipient, subject, login *regexp.Regexp // nil: does not select
	client                            netip.Prefix
}

func newMatcher(q Query) (*matcher, error) {
	m := &matcher{q: q, sender: addressGlob(q.Sender), recipient: addressGlob(q.Recipient), login: addressGlob(q.Login)}
	if q.Subject != "" && !strings.ContainsAny(q.Subject, "*?") {
		m.subject = glob("i", "*"+q.Subject+"*")
	} else {
		m.subject = glob("i", q.Subject)
	}
	if q.Sender == "<>" {
		m.sender = regexp.MustCompile("^$") // the null sender, of bounces
	}
	if q.Client == "" {
		return m, nil
	}
	if a, err := netip.ParseAddr(q.Client); err == nil {
		m.client = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return m, nil
	}
	var err error
	if m.client, err = netip.ParsePrefix(q.Client); err != nil {
		return nil, fmt.Errorf("invalid client %q: use an IP address or a network like 192.0.2.0/24", q.Client)
	}
	return m, nil
}

// addressGlob is glob for what is folded.
func addressGlob(pattern string) *regexp.Regexp { return glob("", Fold(pattern)) }

// glob makes a pattern of * and ? into an expression with some flags; nil for "". RE2 keeps hostile patterns linear.
func glob(flags, pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	text := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`(?s` + flags + `)^` + text + `$`)
}

func fits(re *regexp.Regexp, text string) bool { return re == nil || re.MatchString(text) }

// Matcher returns what says whether a hold matches; States must be named. An error says what is wrong with the query.
func (q Query) Matcher() (func(*Hold) bool, error) {
	m, err := newMatcher(q)
	if err != nil {
		return nil, err
	}
	return m.matches, nil
}

// matches says whether a hold matches.
func (m *matcher) matches(h *Hold) bool {
	toOne := func(p Path) bool { return fits(m.recipient, Fold(p.Address)) }
	switch {
	case !slices.Contains(m.q.States, h.State),
		!fits(m.sender, Fold(h.Sender.Address)),
		!fits(m.login, Fold(h.Login)),
		!fits(m.subject, h.Subject),
		m.q.MessageID != "" && !SameID(m.q.MessageID, h.MessageID),
		m.recipient != nil && !slices.ContainsFunc(h.Recipients, toOne),
		!m.q.Since.IsZero() && h.HeldAt.Before(m.q.Since),
		!m.q.Until.IsZero() && h.HeldAt.After(m.q.Until):
		return false
	}
	if m.q.Client == "" {
		return true
	}
	a, err := netip.ParseAddr(h.Client.Address)
	return err == nil && m.client.Contains(a.Unmap())
}

// sources lists what could answer a query.
func (s *Store) sources(q Query) []*source {
	all := []*source{stateSource(q.States)}
	for _, by := range []struct {
		kind   string
		values []string
	}{
		{"s", []string{q.Login}},
		{"s", names(q.Sender)},
		{"r", []string{q.Recipient}},
		{"m", bothWays(q.MessageID)},
	} {
		if by.values[0] == "" || by.kind != "m" && strings.ContainsAny(by.values[0], "*?<") {
			continue
		}
		all = append(all, &source{entries: s.entries(by.kind, by.values...), since: q.Since, until: q.Until})
	}
	return all
}

// bothWays is a Message-ID with and without angle brackets: records have it as the message had it.
func bothWays(id string) []string {
	if id == "" {
		return []string{""}
	}
	bare := strings.Trim(id, "<>")
	return []string{"<" + bare + ">", bare}
}

// narrowest counts what each source of a query has in some shards, and returns the smallest.
func (s *Store) narrowest(ctx context.Context, q Query, shards []nodes.Shard) (*source, error) {
	all := s.sources(q)
	counts, shelved := make([][]*redis.IntCmd, len(all)), make([][]*redis.StringCmd, len(all))
	pipe := s.nodes.Client.Pipeline()
	for n, src := range all {
		src.shards = shards
		for _, at := range shards {
			for _, st := range src.states {
				counts[n] = append(counts[n], pipe.ZCard(ctx, stateKey(at, st)))
				if st == Released {
					shelved[n] = append(shelved[n], queueShelved(ctx, pipe, at))
				}
			}
			for _, entry := range src.entries {
				counts[n] = append(counts[n], pipe.SCard(ctx, indexKey(at, entry)))
			}
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	best := all[0]
	for n, src := range all {
		for _, c := range counts[n] {
			src.count += int(c.Val())
		}
		for _, c := range shelved[n] {
			more, _ := strconv.Atoi(c.Val())
			src.count += more
		}
		within := !src.since.IsZero() || !src.until.IsZero() // IDs beyond these cost next to nothing
		if src.count < best.count || src.count == best.count && within {
			best = src
		}
	}
	return best, nil
}

// Find yields what matches, soonest due first; records by when they end. It reads the narrowest index that answers, in
// pages: a filter by a pattern looks at all holds in the states that are asked for. What was put, claimed, given back,
// released or recalled meanwhile may be among them or not: WaitingIDs is exact. Damage to a record ends nothing: it is
// yielded as an error, ErrDamaged, at the end; and so is ErrPartial, when some servers do not answer.
func (s *Store) Find(ctx context.Context, q Query) iter.Seq2[*Hold, error] {
	if len(q.States) == 0 {
		q.States = []State{Held, Releasing}
	}
	return func(yield func(*Hold, error) bool) {
		f := &finding{s: s, q: q, yield: yield}
		err := f.run(ctx)
		if err == nil {
			err = f.damaged
		}
		if err != nil && !f.ended {
			yield(nil, err)
		}
	}
}

// finding is one Find under way.
type finding struct {
	s       *Store
	q       Query
	m       *matcher
	yield   func(*Hold, error) bool
	ended   bool // the caller has enough
	damaged error
}

func (f *finding) run(ctx context.Context) (err error) {
	if f.m, err = newMatcher(f.q); err != nil {
		return err
	}
	shards, partly := f.s.nodes.Visible(ctx)
	if len(shards) == 0 {
		return partly
	}
	defer func() { err = cmp.Or(err, partly) }()
	src, err := f.s.narrowest(ctx, f.q, shards)
	if err != nil {
		return err
	}
	if src.sorted() || f.q.AnyOrder {
		return f.each(ctx, src, func(h *Hold) bool { return f.yield(h, nil) })
	}
	var all []match
	err = f.each(ctx, src, func(h *Hold) bool {
		m := match{id: h.ID, due: h.Due}
		if len(all) < keptWhole {
			m.hold = h
		}
		all = append(all, m)
		return true
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b match) int { return a.due.Compare(b.due) })
	return f.show(ctx, all)
}

// keptWhole bounds the memory that a search takes: of what is beyond, only the ID is kept until it is shown.
const keptWhole = 10_000

// match is one hold that was found, before all are in order.
type match struct {
	id   string
	due  time.Time
	hold *Hold // nil: to be read again
}

// each calls do with all holds of a source that match, until it says false.
func (f *finding) each(ctx context.Context, src *source, do func(*Hold) bool) error {
	looked := 0
	return f.s.pages(ctx, src, func(ids []string) (bool, error) {
		holds, damaged, err := f.s.loadEach(ctx, ids)
		if err != nil {
			return false, err
		}
		if damaged != nil {
			f.damaged = damaged
		}
		if looked += len(ids); f.q.Progress != nil {
			f.q.Progress(looked, max(src.count, looked))
		}
		for _, h := range holds {
			if f.m.matches(h) && !do(h) {
				f.ended = true
				return false, nil
			}
		}
		return true, nil
	})
}

// show yields what was found and put in order.
func (f *finding) show(ctx context.Context, all []match) error {
	for page := range slices.Chunk(all, findPage) {
		if err := f.reload(ctx, page); err != nil {
			return err
		}
		for _, m := range page {
			if m.hold != nil && !f.yield(m.hold, nil) {
				f.ended = true
				return nil
			}
		}
	}
	return nil
}

// reload reads again what was not kept, and leaves out what is gone or does not match any more.
func (f *finding) reload(ctx context.Context, page []match) error {
	var ids []string
	for _, m := range page {
		if m.hold == nil {
			ids = append(ids, m.id)
		}
	}
	holds, _, err := f.s.loadEach(ctx, ids)
	if err != nil {
		return err
	}
	byID := map[string]*Hold{}
	for _, h := range holds {
		byID[h.ID] = h
	}
	for n, m := range page {
		if h := byID[m.id]; m.hold == nil && h != nil && f.m.matches(h) {
			page[n].hold = h
		}
	}
	return nil
}

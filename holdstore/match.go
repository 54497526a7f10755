package holdstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message/charset"
	"github.com/redis/go-redis/v9"
)

// Query selects holds. Empty fields do not select. Text fields are exact addresses (answered by an index) or globs
// with * and ? (bounded scan), case-insensitive; Subject is a glob or a plain substring of the decoded subject.
type Query struct {
	States                                    []State   // nil: held and releasing
	Sender, Recipient, Subject, Login, Client string    // Client: an IP address or CIDR
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
	if q.Client == "" {
		return m, nil
	}
	if a, err := netip.ParseAddr(q.Client); err == nil {
		m.client = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return m, nil
	}
	var err error
	if m.client, err = netip.ParsePrefix(q.Client); err != nil {
		return nil, fmt.Errorf("client %q is no IP address and no network like 192.0.2.0/24", q.Client)
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

// envelope says whether everything but the subject matches.
func (m *matcher) envelope(h *Hold) bool {
	toOne := func(p Path) bool { return fits(m.recipient, Fold(p.Address)) }
	switch {
	case !slices.Contains(m.q.States, h.State),
		!fits(m.sender, Fold(h.Sender.Address)),
		!fits(m.login, Fold(h.Login)),
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

// matching leaves the holds that match. It reads the header of those whose record does not tell the whole subject; of what
// has no content any more, the record's is what there is.
func (s *Store) matching(ctx context.Context, m *matcher, holds []*Hold) ([]*Hold, error) {
	holds = slices.DeleteFunc(holds, func(h *Hold) bool { return !m.envelope(h) })
	if m.subject == nil {
		return holds, nil
	}
	subjects, err := s.Subjects(ctx, holds)
	if err != nil {
		return nil, err
	}
	var some []*Hold
	for n, h := range holds {
		if m.subject.MatchString(subjects[n]) {
			some = append(some, h)
		}
	}
	return some, nil
}

// Subjects returns the decoded subjects of holds. It reads the header of those whose record does not tell the whole subject,
// and takes what the record has where there is no header that can be read.
func (s *Store) Subjects(ctx context.Context, holds []*Hold) ([]string, error) {
	subjects := make([]string, len(holds))
	var unsure []int
	for n, h := range holds {
		subjects[n] = decodedText(h.Subject)
		if (h.Subject == "" || len(h.Subject) >= wholeSubject) && h.State != Released {
			unsure = append(unsure, n)
		}
	}
	for page := range slices.Chunk(unsure, headerPage) {
		pipe := s.redis.Pipeline()
		pieces := make([]*redis.StringCmd, len(page))
		for i, n := range page {
			pieces[i] = pipe.Get(ctx, s.of(holds[n].ID).chunk(holds[n].ID, holds[n].staging, 0))
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return nil, explain(err)
		}
		for i, n := range page {
			if header, err := s.headerOf(holds[n], pieces[i]); err == nil {
				subjects[n] = Subject(header)
			}
		}
	}
	return subjects, nil
}

func (s *Store) headerOf(h *Hold, piece *redis.StringCmd) ([]byte, error) {
	stored, err := piece.Bytes()
	if err != nil {
		return nil, err
	}
	p, err := s.open(h, 0, stored)
	return p.text, err
}

const (
	wholeSubject = 490 // a longer subject may have been cut in the record
	headerPage   = 50  // headers that one round trip reads: a header block may be large
)

// Subject returns the decoded subject of a header block; "" when there is none. What can't be decoded stays as it is.
func Subject(header []byte) string {
	raw, found := "", false
	for line := range bytes.Lines(header) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if found && (strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t")) {
			raw += text
			continue
		}
		if found {
			break
		}
		var name string
		name, raw, found = strings.Cut(text, ":")
		found = found && strings.EqualFold(strings.TrimRight(name, " \t"), "Subject")
	}
	if !found {
		return ""
	}
	return decodedText(raw)
}

func decodedText(raw string) string {
	raw = strings.TrimSpace(raw)
	text, err := (&mime.WordDecoder{CharsetReader: charset.Reader}).DecodeHeader(raw)
	if err != nil {
		return raw
	}
	return text
}

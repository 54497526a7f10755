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
)

// Query selects holds. Empty fields do not select. Text fields are exact addresses (answered by an index) or globs
// with * and ? (bounded scan), case-insensitive; Subject is a glob or a plain substring of the decoded subject.
type Query struct {
	States                                    []State   // nil: held and releasing
	Sender, Recipient, Subject, Login, Client string    // Client: an IP address or CIDR
	Since, Until                              time.Time // of HeldAt
}

// matcher is a Query made ready.
type matcher struct {
	q                                 Query
	sender, recipient, subject, login *regexp.Regexp // nil: does not select
	client                            netip.Prefix
}

func newMatcher(q Query) (*matcher, error) {
	m := &matcher{q: q, sender: glob(q.Sender), recipient: glob(q.Recipient), login: glob(q.Login)}
	if q.Subject != "" && !strings.ContainsAny(q.Subject, "*?") {
		m.subject = glob("*" + q.Subject + "*")
	} else {
		m.subject = glob(q.Subject)
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

// glob makes a pattern of * and ? into an expression; nil for "". RE2 keeps hostile patterns linear.
func glob(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	text := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`(?is)^` + text + `$`)
}

func fits(re *regexp.Regexp, text string) bool { return re == nil || re.MatchString(text) }

// envelope says whether everything but the subject matches.
func (m *matcher) envelope(h *Hold) bool {
	toOne := func(p Path) bool { return fits(m.recipient, p.Address) }
	switch {
	case !slices.Contains(m.q.States, h.State),
		!fits(m.sender, h.Sender.Address),
		!fits(m.login, h.Login),
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

// matches also reads the header when a subject is asked for; a hold without content has none.
func (s *Store) matches(ctx context.Context, m *matcher, h *Hold) (bool, error) {
	if !m.envelope(h) || m.subject == nil {
		return m.envelope(h), nil
	}
	header, err := s.Header(ctx, h)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && m.subject.MatchString(Subject(header)), err
}

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
	raw = strings.TrimSpace(raw)
	text, err := (&mime.WordDecoder{CharsetReader: charset.Reader}).DecodeHeader(raw)
	if err != nil {
		return raw
	}
	return text
}

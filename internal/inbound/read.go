package inbound

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// single lists the fields of which a command may have one only: programs differ in which of two they believe.
var single = []string{"From", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "Sender",
	"To"}

// arrival is a mail that comes in, and what it says of people, read once.
type arrival struct {
	*Mail
	from   string   // the one address in From, in lower case and with the domain in A-labels; empty: see defect
	domain string   // of from
	defect string   // why From has no usable address
	to     []string // recipients, in lower case
	passed bool     // a mailing list has passed the mail on
	shared bool     // From is the address of a list, which all its members write under
}

// read reads what a mail says of people. Nothing of it is proved.
func (g *Gate) read(m *Mail) *arrival {
	a := &arrival{Mail: m, to: addresses(m), passed: g.throughList(m)}
	a.from, a.defect = author(m)
	a.domain = holdstore.DomainOf(a.from)
	a.shared = a.passed && a.defect == "" && g.shared(m, a.from)
	return a
}

// author returns the one address in From, in lower case and with the domain in A-labels, or why there is none.
func author(m *Mail) (address, defect string) {
	if m.Cut {
		return "", "the command is too large"
	}
	if slices.ContainsFunc(m.Fields, func(f policy.Field) bool { return !isASCII(f.Name) }) {
		return "", "the name of a field is not ASCII"
	}
	for _, name := range single {
		if n := len(m.Values(name)); n > 1 {
			return "", "more than one field " + name
		}
	}
	from := m.Values("From")
	if len(from) == 0 {
		return "", "no From"
	}
	written, err := mailmsg.Address(from[0])
	if err != nil || strings.ContainsAny(bare(from[0]), ":;,") {
		return "", "From is not one plain address"
	}
	at := strings.LastIndexByte(written, '@')
	name := holdstore.Fold(strings.TrimSuffix(written[at+1:], "."))
	domain, ok := authenticate.ALabels(name)
	if !ok || !strings.Contains(domain, ".") {
		return "", "From has no valid domain"
	}
	return holdstore.Fold(written[:at] + "@" + domain), ""
}

// isASCII says whether a text is. Comparing without case takes "ſubject" for Subject, which no signature covers then.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// bare is a field's value without quoted texts and comments: what is left of a group has a colon.
func bare(value string) string {
	var b strings.Builder
	quoted, depth := false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// moment reads a date field; one that can't be read is long ago, which never makes a command fresher.
func moment(m *Mail, name string) time.Time {
	text := m.Field(name)
	t, err := mail.ParseDate(text)
	if err != nil && text != "" {
		return time.Unix(0, 0)
	}
	return t
}

// named lists whom To and Cc name, in lower case, as far as they can be read in one way only.
func named(m *Mail) (all []string) {
	for _, name := range []string{"To", "Cc"} {
		lines := m.Values(name)
		if len(lines) != 1 {
			continue
		}
		list, err := mailmsg.Addresses(lines[0])
		if err != nil {
			continue
		}
		for _, a := range list {
			all = append(all, holdstore.Fold(a))
		}
	}
	return all
}

func addresses(m *Mail) (all []string) {
	for _, r := range m.Recipients {
		all = append(all, holdstore.Fold(r.Address))
	}
	return all
}

// isLocal says whether the author's domain is one of ours: mail for it comes in.
func (a *arrival) isLocal() bool {
	return a.domain != "" && slices.ContainsFunc(a.to, func(to string) bool {
		return strings.HasSuffix(to, "@"+a.domain)
	})
}

// throughList says whether a mailing list has passed a mail on: it says so itself, or wants the bounces of another's
// mail.
func (g *Gate) throughList(m *Mail) bool {
	if m.ThroughList() {
		return true
	}
	from, err := mailmsg.Address(m.Field("From"))
	return g.isList(m.Sender.Address) && (err != nil || !holdstore.Same(from, m.Sender.Address))
}

// toList says whether a mail is for a mailing list.
func (g *Gate) toList(m *Mail) bool {
	return slices.ContainsFunc(m.Recipients, func(p holdstore.Path) bool { return g.isList(p.Address) })
}

// isList says whether the site's config tells that an address is one of a mailing list.
func (g *Gate) isList(address string) bool { return g.o.Load().Lists.Match(address) }

// shared says whether a mail's From is the address of a list, which all its members write under: lists put it there for
// the sake of DMARC. It is the address to write to as well: List-Post, To or Cc has it, or List-Id (RFC 2919 section
// 2).
func (g *Gate) shared(m *Mail, from string) bool {
	switch {
	case !g.throughList(m):
		return false
	case g.isList(from):
		return true
	}
	for _, name := range []string{"To", "Cc", "Mail-Followup-To"} {
		for _, value := range m.Values(name) {
			all, _ := mailmsg.Addresses(value)
			for _, address := range all {
				if holdstore.Same(address, from) {
					return true
				}
			}
		}
	}
	posts := holdstore.Fold(strings.Join(append(m.Values("List-Post"), m.Values("X-BeenThere")...), " "))
	id := holdstore.Fold(strings.Join(m.Values("List-Id"), " "))
	return strings.Contains(posts, from) || strings.Contains(id, strings.Replace(from, "@", ".", 1))
}

package inbound

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

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

package inbound

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// shared says whether a mail's From is the address of a list, which all its members write under: lists put it there for
// the sake of DMARC. It is the address to write to as well: List-Post, To or Cc has it, or List-Id (RFC 2919 section 2).
func shared(m *recall.Mail, from string) bool {
	if !recall.ThroughList(m) {
		return false
	}
	for _, name := range []string{"To", "Cc", "Mail-Followup-To"} {
		for _, value := range values(m, name) {
			all, _ := mailmsg.Addresses(value)
			for _, address := range all {
				if holdstore.Same(address, from) {
					return true
				}
			}
		}
	}
	posts := holdstore.Fold(strings.Join(append(values(m, "List-Post"), values(m, "X-BeenThere")...), " "))
	id := holdstore.Fold(strings.Join(values(m, "List-Id"), " "))
	return strings.Contains(posts, from) || strings.Contains(id, strings.Replace(from, "@", ".", 1))
}

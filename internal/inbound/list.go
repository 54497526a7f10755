package inbound

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// listFields are fields that mailing lists add; "List-" stands for all that begin so (RFC 2369, RFC 2919).
var listFields = []string{"List-", "Mailing-List", "X-Mailing-List", "X-BeenThere", "X-Mailman-", "X-Google-Group-Id"}

// throughList says whether a mailing list has passed a mail on.
func throughList(m *recall.Mail) bool {
	for _, f := range m.Fields {
		name := strings.ToLower(strings.TrimRight(f.Name, " \t"))
		for _, listField := range listFields {
			listField = strings.ToLower(listField)
			if name == listField || strings.HasSuffix(listField, "-") && strings.HasPrefix(name, listField) {
				return true
			}
		}
		if name == "precedence" {
			switch strings.ToLower(strings.TrimSpace(f.Value)) {
			case "list", "bulk", "junk":
				return true
			}
		}
	}
	return false
}

// resent says whether a person has sent on a mail as it was (RFC 5322 section 3.6.6): whoever wrote it asks nobody here.
func resent(m *recall.Mail) bool {
	for _, f := range m.Fields {
		if strings.HasPrefix(strings.ToLower(f.Name), "resent-") {
			return true
		}
	}
	return false
}

// shared says whether a mail's From is the address of a list, which all its members write under: lists put it there for
// the sake of DMARC. It is the address to write to as well: List-Post, To or Cc has it, or List-Id (RFC 2919 section 2).
func shared(m *recall.Mail, from string) bool {
	if !throughList(m) {
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

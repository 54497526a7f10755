package recall

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// automaticFields are fields that no mail has which a person has just written: those of programs, of lists, and of mail
// that a filter passes on. "List-" stands for all that begin so.
var automaticFields = []string{"List-", "X-Loop", "X-Autoreply", "X-Autorespond", "Delivered-To", "Resent-", "X-Sieve-Redirected-From"}

// automatic says why a mail was written by a program or a list, or was passed on, so that it is no command; empty: a person
// has written it.
func automatic(m *Mail) string {
	if m.Sender.Address == "" {
		return "null sender"
	}
	if v, _, _ := strings.Cut(m.field("Auto-Submitted"), ";"); v != "" && !strings.EqualFold(strings.TrimSpace(v), "no") {
		return "Auto-Submitted"
	}
	for _, f := range m.Fields {
		for _, name := range automaticFields {
			if strings.EqualFold(f.Name, name) || strings.HasSuffix(name, "-") && hasPrefixFold(f.Name, name) {
				return strings.TrimSpace(f.Name)
			}
		}
	}
	switch strings.ToLower(m.field("Precedence")) {
	case "bulk", "list", "junk", "auto_reply":
		return "Precedence"
	}
	return ""
}

// notOwn says why a mail is not its envelope sender's own, so that what it says of recalls has no effect on their mail: a
// stranger's mail that a filter passes on keeps the stranger's From. Empty: it is. The MTA writes a From that is missing.
func notOwn(m *Mail) string {
	if why := automatic(m); why != "" {
		return why
	}
	from := 0
	for _, f := range m.Fields {
		if !strings.EqualFold(f.Name, "From") {
			continue
		}
		address, err := mailmsg.Address(f.Value)
		if from++; from > 1 || err != nil || !holdstore.Same(address, m.Sender.Address) {
			return "From is not the envelope sender"
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

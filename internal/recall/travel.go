package recall

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// How a mail has travelled shows in fields that programs, lists and forwarders add. Mail that leaves and mail that
// comes in are judged by the same lists. "List-" stands for all names that begin so.
var (
	// listFields are those of mailing lists (RFC 2369, RFC 2919, and older ones).
	listFields = []string{"List-", "Mailing-List", "X-Mailing-List", "X-BeenThere", "X-Mailman-", "X-Google-Group-Id"}
	// resentFields are those of a person who sends a mail on as it was (RFC 5322 section 3.6.6).
	resentFields = []string{"Resent-"}
	// passedOnFields are those of filters that pass a mail on, and of delivery to a mailbox before that.
	passedOnFields = []string{"Delivered-To", "X-Sieve", "X-Sieve-Redirected-From", "X-Forwarded-To",
		"X-MS-Exchange-Inbox-Rules-Loop"}
	// programFields are those of programs that answer by themselves.
	programFields = []string{"X-Loop", "X-Autoreply", "X-Autorespond"}
)

// listPrecedence are the values of Precedence that lists give.
var listPrecedence = map[string]bool{"list": true, "bulk": true, "junk": true}

// ThroughList says whether a mailing list has passed a mail on.
func ThroughList(m *Mail) bool { return m.listField() != "" }

// Resent says whether a person has sent a mail on as it was: whoever wrote it asks nobody here.
func Resent(m *Mail) bool { return m.oneOf(resentFields) != "" }

// listField is the field of a mail that says that it came through a list; empty: none does.
func (m *Mail) listField() string {
	if name := m.oneOf(listFields); name != "" {
		return name
	}
	for _, f := range m.Fields {
		if isField(f, "Precedence") && listPrecedence[strings.ToLower(strings.TrimSpace(f.Value))] {
			return "Precedence"
		}
	}
	return ""
}

// oneOf returns the first name of the mail's fields that is in a list; empty: there is none.
func (m *Mail) oneOf(names []string) string {
	for _, f := range m.Fields {
		for _, name := range names {
			if isField(f, name) || strings.HasSuffix(name, "-") && hasPrefixFold(f.Name, name) {
				return strings.TrimSpace(f.Name)
			}
		}
	}
	return ""
}

// isField says whether a field has a name. Some programs write a blank before the colon.
func isField(f policy.Field, name string) bool {
	return holdstore.Same(strings.TrimRight(f.Name, " \t"), name)
}

// automatic says why a mail was written by a program or a list, or was passed on, so that it is no command; empty: a
// person has written it.
func automatic(m *Mail) string {
	if m.Sender.Address == "" {
		return "null sender"
	}
	if v, _, _ := strings.Cut(m.field("Auto-Submitted"), ";"); v != "" && !strings.EqualFold(strings.TrimSpace(v), "no") {
		return "Auto-Submitted"
	}
	if name := m.listField(); name != "" {
		return name
	}
	for _, names := range [][]string{resentFields, passedOnFields, programFields} {
		if name := m.oneOf(names); name != "" {
			return name
		}
	}
	if strings.EqualFold(m.field("Precedence"), "auto_reply") {
		return "Precedence"
	}
	return ""
}

// notOwn says why a mail is not its envelope sender's own, so that what it says of recalls has no effect on their mail:
// a stranger's mail that a filter passes on keeps the stranger's From. Empty: it is. The MTA writes a From that is
// missing.
func notOwn(m *Mail) string {
	if why := automatic(m); why != "" {
		return why
	}
	if m.has("X-Recall-Policy") {
		return "it has come in by a gateway"
	}
	from := 0
	for _, f := range m.Fields {
		if !isField(f, "From") {
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
	return len(s) >= len(prefix) && holdstore.Same(s[:len(prefix)], prefix)
}

package mailmsg

import (
	"strings"

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
func (m *Message) ThroughList() bool { return m.listField() != "" }

// Resent says whether a person has sent a mail on as it was: whoever wrote it asks nobody here.
func (m *Message) Resent() bool { return m.oneOf(resentFields) != "" }

// listField is the field of a mail that says that it came through a list; empty: none does.
func (m *Message) listField() string {
	if name := m.oneOf(listFields); name != "" {
		return name
	}
	for _, f := range m.Fields {
		if f.Is("Precedence") && listPrecedence[strings.ToLower(strings.TrimSpace(f.Value))] {
			return "Precedence"
		}
	}
	return ""
}

// oneOf returns the first name of the mail's fields that is in a list; empty: there is none.
func (m *Message) oneOf(names []string) string {
	for _, f := range m.Fields {
		for _, name := range names {
			if f.Is(name) || strings.HasSuffix(name, "-") && hasPrefix(f.Name, name) {
				return strings.TrimSpace(f.Name)
			}
		}
	}
	return ""
}

// Automatic says why a mail was written by a program or a list, or was passed on, so that it is not a command; empty: a
// person has written it.
func (m *Message) Automatic() string {
	if v, _, _ := strings.Cut(m.Field("Auto-Submitted"), ";"); v != "" && !strings.EqualFold(strings.TrimSpace(v), "no") {
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
	if strings.EqualFold(m.Field("Precedence"), "auto_reply") {
		return "Precedence"
	}
	return ""
}

// hasPrefix compares as policy.Field does.
func hasPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && policy.Field{Name: name[:len(prefix)]}.Is(prefix)
}

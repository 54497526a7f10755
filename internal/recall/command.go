package recall

import (
	"regexp"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// target says which message a command to the recall address means, in the order in which it is looked for.
type target struct {
	named string   // in the subject; then nothing else is tried
	refs  []string // Message-IDs of the mail that is answered or forwarded
	last  bool     // the sender's newest
	only  []string // nil: for all recipients
}

// maxRefs bounds how many Message-IDs of one command are looked up.
const maxRefs = 20

var (
	// Programs put words of any language before the subject of a reply.
	replyPrefix = regexp.MustCompile(`^(?i)(\p{L}{1,5}(\[\d+\])?\s?[:：]\s*)+`)
	bracketed   = regexp.MustCompile(`<[^<>\s@[:cntrl:]]{1,250}@[^<>\s@[:cntrl:]]{1,250}>`)
	bySubject   = regexp.MustCompile(`(?i)^recall\s+(?:message-id:\s*)?(\S+)(?:\s+only:?\s+(.+))?$`)
	onlyLine    = regexp.MustCompile(`(?im)^only:?[ \t]+(.{1,1000}?)\r?$`)
	holdID      = regexp.MustCompile(`(?i)^[2-9A-HJKMNP-Z]{13}$`)
	queueID     = regexp.MustCompile(`^([0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}|[0-9A-Za-z]{14,16})$`)
	idLine      = regexp.MustCompile(`(?im)^[>|\s]*message-id:\s*(<[^<>\s]{3,500}>)`)
)

// meaning reads a mail to the recall address.
func meaning(m *Mail) target {
	var t target
	subject := strings.TrimSpace(replyPrefix.ReplaceAllString(mailmsg.Subject(m.field("Subject")), ""))
	if found := bySubject.FindStringSubmatch(subject); found != nil {
		t.last = strings.EqualFold(found[1], "last")
		t.only = list(found[2])
		if bracketed.MatchString(found[1]) || !t.last && (holdID.MatchString(found[1]) || queueID.MatchString(found[1])) {
			t.named = found[1]
		}
	} else if holdID.MatchString(subject) {
		t.named = subject
	}
	if t.only == nil {
		t.only = onlyInText(m)
	}
	if t.named != "" {
		return t
	}
	t.add(bracketed.FindString(m.field("In-Reply-To")))
	references := bracketed.FindAllString(m.field("References"), -1)
	for n := len(references) - 1; n >= 0; n-- { // the newest is the last
		t.add(references[n])
	}
	m.parts(func(p part) bool {
		switch {
		case p.kind == "message/rfc822":
			t.add(bracketed.FindString(p.original()))
		case strings.HasPrefix(p.kind, "text/"):
			for _, found := range idLine.FindAllStringSubmatch(p.text, maxRefs) {
				t.add(found[1])
			}
		}
		return len(t.refs) < maxRefs
	})
	return t
}

// list reads addresses with blanks or commas between; nil when there are none. A word that is no address counts too: it
// matches no recipient, and so nothing is recalled that was not meant.
func list(text string) (all []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,;", r) }) {
		all = append(all, strings.Trim(word, "<>"))
	}
	return all
}

// onlyInText looks for a line "ONLY address" in what the sender wrote.
func onlyInText(m *Mail) (only []string) {
	m.parts(func(p part) bool {
		if found := onlyLine.FindStringSubmatch(p.text); found != nil {
			only = list(found[1])
		}
		return p.kind != "text/plain" // only the first text
	})
	return only
}

func (t *target) add(messageID string) {
	if messageID != "" && len(t.refs) < maxRefs {
		t.refs = append(t.refs, messageID)
	}
}

// automatic says why a mail was written by a program or a list, so that it is no command; empty: by a person.
func automatic(m *Mail) string {
	if m.Sender.Address == "" {
		return "null sender"
	}
	if v := m.field("Auto-Submitted"); v != "" && !strings.EqualFold(strings.TrimSpace(strings.SplitN(v, ";", 2)[0]), "no") {
		return "Auto-Submitted"
	}
	for _, name := range []string{"List-Id", "List-Post", "List-Unsubscribe", "X-Loop", "X-Autoreply"} {
		if m.field(name) != "" {
			return name
		}
	}
	switch strings.ToLower(m.field("Precedence")) {
	case "bulk", "list", "junk":
		return "Precedence"
	}
	return ""
}

package recall

import (
	"regexp"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// target says which messages a command to the recall address means.
type target struct {
	refs    []string // what names them; each is meant
	last    bool     // the sender's newest
	only    []string // nil: for all recipients
	unclear string   // why nothing can be done, for the sender; empty: something can
}

// maxRefs bounds how many messages one command can mean.
const maxRefs = 20

var (
	holdID  = regexp.MustCompile(`(?i)^[2-9A-HJKMNP-Z]{13}$`)
	queueID = regexp.MustCompile(`^([0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}|[0-9A-Za-z]{14,16})$`)
	idLine  = regexp.MustCompile(`(?i)^message-id:\s*(<.*)`)
)

// Why a command is answered with help.
const (
	unclearOnly    = "the recipients behind ONLY can't be read. Write ONLY and their addresses, with commas between them"
	unclearSubject = "the words behind the message's number can't be read. Only ONLY and addresses may stand there"
	unclearCut     = "not all of it can be read, and ONLY might be in the rest: it is larger than 1 MB, has more than " +
		"100 parts, or is damaged or encrypted. Write RECALL and the message's number in the subject of a mail " +
		"without attachments"
	unclearQuoted = "ONLY is in a text that might be quoted. Write ONLY and the addresses at the top of your mail, or in " +
		"its subject"
	tooManyRefs = "one mail can recall 20 messages at most. The others were not recalled"
)

// meaning reads a mail to the recall address. The first of these that is there decides: what the subject names, the
// message that is answered, those that are forwarded. What is only quoted names nothing, and neither do older messages
// of a thread.
func (d *Desk) meaning(m *Mail) target {
	subject := m.Text("Subject")
	t := readSubject(policy.WithoutReplyWords(subject))
	own := d.ownText(m)
	if len(t.refs) == 0 && !t.last { // the subject of a reply or a forward may say ONLY as well
		own.only = own.only.With(policy.ReadOnlySubject(policy.WithoutReplyWords(subject)))
		own.broken = own.broken || strings.Contains(subject, "=?") // in a charset that nobody knows
	}
	own.broken = own.broken || len(m.Values("Subject")) > 1 || len(m.Field("Subject")) > mailmsg.MaxField
	if t.only == nil && t.unclear == "" {
		t.takeOnly(own.only)
	}
	switch {
	case t.only != nil || t.unclear != "":
	case own.broken || m.Cut && m.mayGoOn(own): // it might say ONLY
		t.unclear = unclearCut
	case own.doubtful:
		t.unclear = unclearQuoted
	}
	if len(t.refs) > 0 || t.last {
		return t
	}
	parents := policy.MessageIDs(m.Field("In-Reply-To"))
	if references := policy.MessageIDs(m.Field("References")); len(parents) == 0 && len(references) > 0 {
		parents = references[len(references)-1:] // the last is the parent (RFC 5322 section 3.6.4)
	}
	attached := forwarded(m)
	switch {
	case len(attached) > 0 && (len(parents) == 0 || policy.IsForward(subject)):
		t.refs = attached
	case len(parents) > 0:
		t.refs = parents
	case own.original != "" && !policy.IsReply(subject):
		t.refs = []string{own.original}
	}
	t.refs = slices.Compact(slices.Clone(t.refs))
	return t
}

// mayGoOn says whether a mail that was cut may have more text of its sender in what was cut off. What goes with one
// text, as its pictures, stands behind all of it; behind other files a text can go on.
func (m *Mail) mayGoOn(own ownText) bool {
	kind, _ := m.MediaType()
	switch {
	case own.last:
		return true
	case !m.GoesOn():
		return false
	case kind == "multipart/related", kind == "multipart/alternative":
		return !own.seen
	}
	return true
}

// takeOnly takes over whom the command is for.
func (t *target) takeOnly(o policy.Only) {
	if t.only = o.Addresses; o.Unclear {
		t.unclear = unclearOnly
	}
}

// readSubject reads "RECALL", what names the message, and ONLY with addresses. A hold ID alone is enough.
func readSubject(subject string) (t target) {
	rest, ok := cutFold(subject, "recall")
	switch {
	case holdID.MatchString(subject):
		t.refs = []string{subject}
		return t
	case !ok || rest != "" && !strings.ContainsAny(rest[:1], " :<"):
		return t
	}
	rest = strings.TrimLeft(rest, " :")
	if behind, ok := cutFold(rest, "message-id"); ok {
		rest = strings.TrimLeft(behind, " :")
	}
	if list, ok := policy.CutOnly(rest); ok {
		t.takeOnly(policy.ReadOnlyList(list))
		return t
	}
	ref, rest := cutRef(rest)
	switch {
	case strings.EqualFold(ref, "last"):
		t.last = true
	case ref == "":
		if strings.Contains(rest, "@") { // "RECALL for b@x.test"
			t.unclear = unclearOnly
		}
		return t
	default:
		t.refs = []string{ref}
	}
	rest = strings.TrimLeft(rest, " .,;:!-")
	if list, ok := policy.CutOnly(rest); ok {
		t.takeOnly(policy.ReadOnlyList(list))
	} else if rest != "" {
		t.unclear = unclearSubject
	}
	return t
}

// cutRef cuts what names a message off the beginning of a text: a Message-ID, a hold ID, a queue ID, or LAST.
func cutRef(text string) (ref, rest string) {
	if strings.HasPrefix(text, "<") {
		return policy.CutMessageID(text)
	}
	word, rest, _ := strings.Cut(text, " ")
	word = strings.Trim(word, `.,;:!?"'()[]>“”„«»`)
	if strings.Contains(word, "@") || strings.EqualFold(word, "last") || holdID.MatchString(word) ||
		queueID.MatchString(word) {
		return word, rest
	}
	return "", text
}

// cutFold takes a word in any case off the beginning of a text.
func cutFold(text, word string) (rest string, ok bool) {
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return text, false
	}
	return text[len(word):], true
}

// forwarded lists the Message-IDs of the messages that are attached.
func forwarded(m *Mail) (ids []string) {
	m.Parts(func(p mailmsg.Part) bool {
		if p.Kind == "message/rfc822" || p.Kind == "message/global" || p.Kind == "text/rfc822-headers" ||
			strings.HasSuffix(strings.ToLower(p.Name), ".eml") {
			if id := p.MessageID(); id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return len(ids) <= maxRefs
	})
	return ids
}

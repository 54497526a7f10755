// Package command reads what a mail to the recall address says: which messages it means, and for whom. Programs quote,
// forward, wrap and translate, so most of it tells what the sender wrote from what a program added.
//
// Failure rules: a recall for all recipients can't be undone for those who got the message, so wherever ONLY might be
// written and can't be read, the command is unclear, and its sender is told.
package command

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// Target says which messages a command to the recall address means.
type Target struct {
	Verb    Verb     // what is asked for
	For     string   // how much longer to wait, as it was written
	Refs    []string // what names them; each is meant
	Last    bool     // the sender's newest
	Only    []string // nil: for all recipients
	Unclear string   // why nothing can be done, for the sender; empty: something can
}

// reader knows the recall addresses, by which it tells our own mails from others in what is quoted.
type reader []string

// MaxRefs bounds how many messages one command can mean.
const MaxRefs = 20

var (
	holdID  = lazyregexp.New(`(?i)^[2-9A-HJKMNP-Z]{13}$`)
	queueID = lazyregexp.New(`^([0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}|[0-9A-Za-z]{14,16})$`)
	idLine  = lazyregexp.New(`(?i)^message-id:\s*(<.*)`)
)

// Why a command is answered with help.
const (
	unclearOnly    = "the recipients after ONLY can't be read. Write ONLY and their addresses, with commas between them"
	unclearSubject = "the words after the message's number can't be read. Write nothing else there than ONLY and addresses"
	unclearCut     = "not all of it can be read, and ONLY might be in the rest: it is larger than 1 MB, has more than " +
		"100 parts, or is damaged or encrypted. Write RECALL and the message's number in the subject of a mail " +
		"without attachments"
	unclearQuoted = "ONLY is in a text that might be quoted. Write ONLY and the addresses at the top of your mail, or " +
		"in " +
		"its subject"
)

// Read reads a mail to the recall address, of which a site can have several. The first of these that is there decides:
// what the subject names, the message that is answered, those that are forwarded. What is only quoted names nothing,
// and neither do older messages of a thread.
func Read(m *mailmsg.Message, addresses []string) Target {
	subject := m.Text("Subject")
	bare := policy.WithoutReplyWords(subject)
	t, verb := readVerb(bare, bare != policy.Visible(subject))
	if !verb {
		t = readSubject(bare)
	}
	own := reader(addresses).ownText(m)
	if len(t.Refs) == 0 && !t.Last { // the subject of a reply or a forward may say ONLY as well
		own.only = own.only.With(policy.ReadOnlySubject(bare))
		own.broken = own.broken || strings.Contains(subject, "=?") // in a charset that nobody knows
	}
	own.broken = own.broken || len(m.Values("Subject")) > 1 || len(m.Field("Subject")) > mailmsg.MaxField
	if t.Only == nil && t.Unclear == "" {
		t.takeOnly(own.only)
	}
	switch {
	case t.Only != nil || t.Unclear != "":
	case own.broken || m.Cut && mayGoOn(m, own): // it might say ONLY
		t.Unclear = unclearCut
	case own.doubtful:
		t.Unclear = unclearQuoted
	}
	if t.Verb != Recall && t.Only != nil {
		t.Only, t.Unclear = nil, unclearAll
	}
	if len(t.Refs) > 0 || t.Last {
		return t
	}
	parents := policy.MessageIDs(m.Field("In-Reply-To"))
	if references := policy.MessageIDs(m.Field("References")); len(parents) == 0 && len(references) > 0 {
		parents = references[len(references)-1:] // the last is the parent (RFC 5322 section 3.6.4)
	}
	attached := forwarded(m)
	switch {
	case len(attached) > 0 && (len(parents) == 0 || policy.IsForward(subject)):
		t.Refs = attached
	case len(parents) > 0:
		t.Refs = parents
	case own.original != "" && !policy.IsReply(subject):
		t.Refs = []string{own.original}
	}
	t.Refs = slices.Compact(slices.Clone(t.Refs))
	return t
}

// mayGoOn says whether a mail that was cut may have more text of its sender in what was cut off. What goes with one
// text, as its pictures, stands behind all of it; behind other files a text can go on.
func mayGoOn(m *mailmsg.Message, own ownText) bool {
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
func (t *Target) takeOnly(o policy.Only) {
	if t.Only = o.Addresses; o.Unclear {
		t.Unclear = unclearOnly
	}
}

// readSubject reads "RECALL", what names the message, and ONLY with addresses. A hold ID alone is enough.
func readSubject(subject string) (t Target) {
	rest, ok := cutFold(subject, "recall")
	switch {
	case holdID.MatchString(subject):
		t.Refs = []string{subject}
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
		t.Last = true
	case ref == "":
		if strings.Contains(rest, "@") { // "RECALL for b@x.test"
			t.Unclear = unclearOnly
		}
		return t
	default:
		t.Refs = []string{ref}
	}
	rest = strings.TrimLeft(rest, " .,;:!-")
	if list, ok := policy.CutOnly(rest); ok {
		t.takeOnly(policy.ReadOnlyList(list))
	} else if rest != "" {
		t.Unclear = unclearSubject
	}
	return t
}

// IsHoldID says by its form whether a text could be the ID of a hold.
func IsHoldID(text string) bool { return holdID.MatchString(text) }

// IsQueueID says by its form whether a text could be a queue ID.
func IsQueueID(text string) bool { return queueID.MatchString(text) }

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
func forwarded(m *mailmsg.Message) (ids []string) {
	m.Parts(func(p mailmsg.Part) bool {
		if p.Kind == "message/rfc822" || p.Kind == "message/global" || p.Kind == "text/rfc822-headers" ||
			strings.HasSuffix(strings.ToLower(p.Name), ".eml") {
			if id := p.MessageID(); id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return len(ids) <= MaxRefs
	})
	return ids
}

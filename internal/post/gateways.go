package post

import (
	"context"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// Author is the address in From of a held message.
func Author(h *holdstore.Hold) string {
	if h.Author != "" {
		return h.Author
	}
	return h.Sender.Address
}

// Request asks the gateway of a message's recipients to take it back. The mail is from the message's author, so that
// it aligns as the message did; bounces of it would only confuse them, and there are none.
func (p *Post) Request(ctx context.Context, h *holdstore.Hold, q protocol.Request) error {
	var to []holdstore.Path
	for _, r := range q.Recipients {
		to = append(to, holdstore.Path{Address: r, Args: []string{"NOTIFY=NEVER"}})
	}
	headers := fmt.Sprintf("From: <%s>\r\nSubject: %s\r\nMessage-ID: %s\r\n", sanitize.HeaderValue(Author(h)),
		mailmsg.Encode(sanitize.HeaderValue(h.Subject)), sanitize.HeaderValue(h.MessageID))
	if h.Date != "" {
		headers += "Date: " + sanitize.HeaderValue(h.Date) + "\r\n"
	}
	return p.send(ctx, dispatch{sender: h.Sender.Address, author: Author(h), to: to, gateway: h.Gateway, id: q.ID,
		auto: "auto-generated",
		text: "request", letter: letter{Subject: sanitize.HeaderValue(h.Subject), MessageID: h.MessageID,
			HeldAt: clock(p.texts.Clock(h.HeldAt), english),
			From:   sanitize.HeaderValue(Author(h)), Why: sanitize.HeaderValue(q.Reason)},
		kind: "recall-request", part: q.String(), headers: headers})
}

// Inquirer is whom a status goes to.
type Inquirer struct {
	Address   string // of the author of the request, whose domain is authentic
	MessageID string // of the request
	Gateway   string // our MTA's host name
	From      string // address in From: of a domain that the request's recipients are in
}

// Status tells who asked what was done.
func (p *Post) Status(ctx context.Context, to Inquirer, s protocol.Status) error {
	l := letter{MessageID: s.MessageID}
	for _, r := range s.Recipients {
		l.Told = append(l.Told, told{sanitize.HeaderValue(r.Address), WordsOf(r.Outcome), sanitize.HeaderValue(r.Diagnostic)})
	}
	return p.send(ctx, dispatch{author: to.From, to: []holdstore.Path{{Address: to.Address}}, gateway: to.Gateway,
		auto: "auto-replied",
		id:   to.id(s), thread: to.MessageID, text: "status", letter: l, kind: "recall-status", part: s.String()})
}

// id is for the Message-ID of a status. What another gateway calls a request need not fit into one.
func (to Inquirer) id(s protocol.Status) string {
	about := "status"
	if mark.IsToken(s.RequestID) {
		about = s.RequestID
	}
	return idOf(about, to.Address+"\n"+to.MessageID+"\n"+s.String())
}

// WordsOf says an outcome of a status to people.
func WordsOf(outcome string) string {
	switch outcome {
	case protocol.StatusRecalled:
		return "taken back before it was delivered"
	case protocol.StatusRetracted:
		return "taken out of the mailbox, unread"
	case protocol.StatusReplaced:
		return "replaced by a notice, unread"
	case protocol.StatusRead:
		return "read already, and so it stays"
	case protocol.StatusMoved:
		return "moved to another folder"
	case protocol.StatusNotFound:
		return "not found in the mailbox"
	}
	return "not taken back"
}

// PassedOn is the verb of a timeline's lines about those whom a list or a forwarder has passed a request on to.
const PassedOn = "passed on"

// Report is the report on a message that was recalled after its release; again: an earlier one has gone out. One that
// says the same of the same moments is sent once.
func (p *Post) Report(ctx context.Context, h *holdstore.Hold, again bool) error {
	a := &Answer{Kind: "outcome", Done: []*holdstore.Hold{h}}
	s := protocol.Status{RequestID: h.ID, MessageID: h.MessageID}
	var says strings.Builder
	for _, o := range a.Outcomes() {
		s.Recipients = append(s.Recipients, protocol.StatusOf{Address: o.Address, Outcome: o.word(), Diagnostic: o.Words()})
		fmt.Fprintln(&says, o.Words(), o.At.UnixMilli())
	}
	lang := p.texts.languageFor(h.Rule, h.Sender.Address)
	l := a.letter(p.addressFor(h.Sender.Address), lang, p.texts.Clock)
	l.Again, l.Reason = again, p.texts.reason(h.Rule, lang)
	for _, e := range h.Timeline {
		if e.Verb == PassedOn && e.News { // nobody else's words come into a mail of ours
			l.Told = append(l.Told, told{Address: sanitize.HeaderValue(e.By), Words: sanitize.HeaderValue(e.Detail)})
			fmt.Fprintln(&says, e.By, e.Detail)
		}
	}
	return p.send(ctx, dispatch{to: []holdstore.Path{{Address: h.Sender.Address}}, gateway: h.Gateway,
		id: idOf(h.ID, says.String()), auto: "auto-replied",
		text: "outcome", lang: lang, letter: l, kind: "recall-status", part: s.String()})
}

// NobodyHasIt says whether all recipients of a message have got rid of it.
func NobodyHasIt(h *holdstore.Hold) bool {
	for _, r := range h.Results {
		if r.Outcome != holdstore.TakenBack && r.Outcome != holdstore.Retracted && r.Outcome != holdstore.Failed {
			return false
		}
	}
	return true
}

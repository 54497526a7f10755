// Package post writes the gateway's own mails: answers to commands, notices, requests to other gateways and answers to
// theirs, reports, bounces. It knows their forms, which a site can replace, and not why they are written; the words are
// in package words.
package post

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// IDPrefix is what the Message-IDs of our mails to senders begin with. The ID of the hold that a mail is about follows,
// so that an answer to it means that hold.
const IDPrefix = "<recall."

// Post writes the gateway's own mails and puts them into the store, to be released at once.
type Post struct {
	store     Store
	texts     *Texts
	addresses []string // where recall commands go; none: nowhere
}

// New returns a post. Recall commands go to the addresses; none: nowhere.
func New(store Store, texts *Texts, addresses ...string) *Post {
	return &Post{store, texts, addresses}
}

// Reports says whether the sender of a message of a rule ("": of none that is known) hears what came of a recall; good:
// all of it was taken back.
func (p *Post) Reports(rule string, good bool) bool { return p.texts.reports(rule, good) }

// addressFor is where somebody sends recall commands, and from where they get our mails: the first address in their own
// domain, or else the first of all. "": nowhere.
func (p *Post) addressFor(person string) string {
	for _, a := range p.addresses {
		if holdstore.Same(holdstore.DomainOf(a), holdstore.DomainOf(person)) {
			return a
		}
	}
	if len(p.addresses) == 0 {
		return ""
	}
	return p.addresses[0]
}

// Store takes mail; holdstore.Store says what each method promises.
type Store interface {
	Put(sub holdstore.Submission, header []byte) *holdstore.Put
	Resolve(ctx context.Context, ref string) ([]*holdstore.Hold, error)
}

// dispatch is one mail of ours.
type dispatch struct {
	sender  string // of the envelope; "" is the null sender
	author  string // address in From; empty: the recall address
	to      []holdstore.Path
	gateway string // host name of the MTA
	about   string // ID of the hold that it is about, for the Message-ID: an answer to it means that hold
	id      string // for the Message-ID: a mail with the same is sent once; empty: by chance
	auto    string // value of Auto-Submitted
	thread  string // Message-ID of what it answers
	text    string // name of the text
	lang    string // of the text; empty: English
	letter  letter // what fills it in
	kind    string // report-type; empty: only for people
	part    string // what programs read
	headers string // of the message that it is about; empty: none
}

// Answer answers the sender of a command, with a part for programs. The answer belongs to the thread of the given
// Message-ID.
func (p *Post) Answer(ctx context.Context, to *holdstore.Submission, a *Answer, thread string) error {
	d := p.toSender(to, a, thread)
	if d.text = a.Kind; !a.Act {
		d.kind, d.part = "recall-status", a.status(to).String()
	}
	return p.send(ctx, d)
}

// Notice tells the sender of a message that it is held, and how to recall it; link is the page for it, or empty.
func (p *Post) Notice(ctx context.Context, h *holdstore.Hold, link string) error {
	d := p.toSender(&h.Submission, &Answer{Done: []*holdstore.Hold{h}}, h.MessageID)
	d.text, d.letter.Link = "notice", link
	return p.send(ctx, d)
}

// SignIn sends somebody the link by which they sign in to the page; gateway is the host name that the mail comes from.
func (p *Post) SignIn(ctx context.Context, to, link, gateway string) error {
	return p.send(ctx, dispatch{to: []holdstore.Path{{Address: to}}, gateway: gateway, auto: "auto-generated",
		lang: p.texts.languageFor("", to), text: "sign-in", letter: letter{Link: link, Address: p.addressFor(to)}})
}

func (p *Post) toSender(to *holdstore.Submission, a *Answer, thread string) dispatch {
	rule := a.Rule()
	lang := p.texts.languageFor(rule, to.Sender.Address)
	l := a.letter(p.addressFor(to.Sender.Address), lang, p.texts.Clock)
	l.Reason = p.texts.reason(rule, lang)
	return dispatch{about: l.ID, lang: lang, to: []holdstore.Path{{Address: to.Sender.Address}}, gateway: to.Gateway,
		auto: "auto-replied", thread: thread, letter: l}
}

// send puts a mail into the store.
func (p *Post) send(ctx context.Context, d dispatch) error {
	subject, body, err := p.texts.write(cmp.Or(d.lang, english), d.text, d.letter)
	if err != nil {
		return err
	}
	host := sanitize.HeaderValue(d.gateway)
	if host == "" {
		host = "localhost"
	}
	name := rand.Text()
	if d.about != "" {
		name = d.about + "." + name
	}
	id := IDPrefix + cmp.Or(d.id, name) + "@" + host + ">"
	if sent, err := p.sent(ctx, d, id); sent || err != nil {
		return err
	}
	more, content := multipartReport(body, d)
	sub := holdstore.Submission{MessageID: id, Subject: subject, Gateway: d.gateway,
		Sender: holdstore.Path{Address: d.sender, Args: []string{"BODY=8BITMIME"}}, Recipients: d.to}
	if international(d) {
		sub.Sender.Args = append(sub.Sender.Args, "SMTPUTF8")
	}
	put := p.store.Put(sub, []byte(p.header(d, host, id, subject)+more))
	if err := put.Write(ctx, []byte(content)); err != nil {
		put.Abandon()
		return err
	}
	_, err = put.Commit(ctx, holdstore.Terms{Rule: holdstore.OwnMailRule})
	return err
}

// header writes the fields of a mail, but for those of its parts.
func (p *Post) header(d dispatch, host, id, subject string) string {
	address := ""
	if len(d.to) > 0 {
		address = p.addressFor(d.to[0].Address)
	}
	from := "Message recall <" + address + ">"
	switch {
	case d.author != "":
		from = "<" + sanitize.HeaderValue(d.author) + ">"
	case address == "":
		from = "Message recall <MAILER-DAEMON@" + host + ">"
	}
	var to []string
	for _, r := range d.to {
		to = append(to, "<"+sanitize.HeaderValue(r.Address)+">")
	}
	return "From: " + from + "\r\nTo: " + strings.Join(to, ",\r\n\t") + "\r\n" +
		"Subject: " + mailmsg.Encode(subject) + "\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMessage-ID: " + id +
		"\r\n" + inReply(d.thread) + "Auto-Submitted: " + d.auto + "\r\nMIME-Version: 1.0\r\n"
}

// sent says whether a mail was sent before: by a daemon that died before it could say so.
func (p *Post) sent(ctx context.Context, d dispatch, messageID string) (bool, error) {
	if d.id == "" {
		return false, nil
	}
	holds, err := p.store.Resolve(ctx, messageID)
	return slices.ContainsFunc(holds, (*holdstore.Hold).Own), err
}

// idOf makes an ID of the person or thing that a mail is about, and what it says.
func idOf(about, says string) string {
	sum := sha256.Sum256([]byte(says))
	return about + "." + hex.EncodeToString(sum[:8])
}

// international says whether the mail needs SMTPUTF8 (RFC 6531).
func international(d dispatch) bool {
	all := d.sender + d.author
	for _, r := range d.to {
		all += r.Address
	}
	return !isASCII(all)
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// multipartReport writes the fields and the body of a report (RFC 6522), or of plain text when it is only for people.
func multipartReport(body string, d dispatch) (header, content string) {
	const plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	body = foldLines(body, "")
	if d.kind == "" {
		return plain, body
	}
	boundary := rand.Text()
	header = "Content-Type: multipart/report; report-type=" + d.kind + ";\r\n\tboundary=\"" + boundary + "\"\r\n"
	content = "--" + boundary + "\r\n" + plain + "\r\n" + body + "\r\n--" + boundary +
		"\r\nContent-Type: message/" + d.kind + "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + foldLines(d.part, " ")
	if d.headers != "" {
		content += "\r\n--" + boundary + "\r\nContent-Type: text/rfc822-headers; charset=utf-8\r\n" +
			"Content-Transfer-Encoding: 8bit\r\n\r\n" + foldLines(d.headers, " ")
	}
	return header, content + "\r\n--" + boundary + "--\r\n"
}

// inReply puts a mail into a thread.
func inReply(messageID string) string {
	id := sanitize.HeaderValue(policy.BracketedID(messageID))
	if id == "" || len(id) > maxLineLength-20 { // an ID can't be folded
		return ""
	}
	return "In-Reply-To: " + id + "\r\nReferences: " + id + "\r\n"
}

// maxLineLength is what a line of a mail may have, without its CRLF (RFC 5322 section 2.1.1). Servers refuse longer
// ones, or cut them in two.
const maxLineLength = 998

// foldLines breaks the lines that are too long, at a blank where there is one, and never within a character. What goes
// on begins with indent: a blank where lines are fields, so that it belongs to the field.
func foldLines(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for most := maxLineLength; len(strings.TrimRight(line, "\r\n")) > most; most = maxLineLength - len(indent) {
			n := strings.LastIndexByte(line[:most], ' ') + 1
			if n < most/2 {
				for n = most; !utf8.RuneStart(line[n]) && n > most-utf8.UTFMax; n-- {
				}
			}
			b.WriteString(line[:n] + "\r\n" + indent)
			line = line[n:]
		}
		b.WriteString(line)
	}
	return b.String()
}

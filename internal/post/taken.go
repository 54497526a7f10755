package post

import (
	"context"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// Loss is a message that was taken out of a mailbox of this site.
type Loss struct {
	Recipient string // whose mailbox
	MessageID string
	From      string    // address of its author
	Received  time.Time // when it came in; zero: not known
	BySender  bool      // its sender recalled it; else an operator took it
}

// Taken tells somebody that a message was taken out of their mailbox: once for each message, however often it is
// called. The mail says who had written the message and when it came in. It has nothing of its subject and text: these
// are what was to be taken back, or what nobody is to believe. A mail of ours that was taken is told to nobody.
func (p *Post) Taken(ctx context.Context, l Loss) error {
	if strings.HasPrefix(l.MessageID, IDPrefix) {
		return nil
	}
	domain := holdstore.DomainOf(l.Recipient)
	lang := p.texts.languageFor("", l.Recipient)
	return p.send(ctx, dispatch{author: postmaster + "@" + domain, to: []holdstore.Path{{Address: l.Recipient}},
		gateway: domain, id: idOf("taken", l.MessageID+"\n"+holdstore.Fold(l.Recipient)), auto: "auto-generated", lang: lang,
		text: "taken", letter: letter{From: sanitize.HeaderValue(l.From), HeldAt: until(l.Received, lang), Act: !l.BySender}})
}

// postmaster speaks for a site (RFC 5321 section 4.5.1).
const postmaster = "postmaster"

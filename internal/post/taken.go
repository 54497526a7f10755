package post

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// Loss is a message that was taken out of a mailbox of this site.
type Loss struct {
	Recipient string // whose mailbox
	MessageID string
	From      string    // of its author; told only when it is a plain address
	Received  time.Time // when it came in; zero: not known
	BySender  bool      // its sender recalled it; else an operator took it
}

// Taken tells somebody that a message was taken out of their mailbox: once for each message, however often it is
// called. The mail says who had written the message and when it came in. It has nothing of its subject and text: these
// are what was to be taken back, or what nobody is to believe. A mail of ours that was taken is told to nobody.
func (p *Post) Taken(ctx context.Context, l Loss) error {
	if ours, err := p.ours(ctx, l); ours || err != nil {
		return err
	}
	from := l.From
	if address, err := mailmsg.Address(from); err != nil || address != from { // words that a stranger chose
		from = ""
	}
	domain := holdstore.DomainOf(l.Recipient)
	lang := p.texts.languageFor("", l.Recipient)
	return p.send(ctx, dispatch{author: postmaster + "@" + domain, to: []holdstore.Path{{Address: l.Recipient}},
		gateway: domain, id: idOf("taken", l.MessageID+"\n"+holdstore.Fold(l.Recipient)), auto: "auto-generated", lang: lang,
		text: "taken", letter: letter{From: sanitize.HeaderValue(from), Act: !l.BySender,
			HeldAt: until(l.Received, lang, p.texts.Clock)}})
}

// ours says whether a message is a mail of ours to the same person. Anybody can write a Message-ID like those of ours.
func (p *Post) ours(ctx context.Context, l Loss) (bool, error) {
	if !strings.HasPrefix(l.MessageID, IDPrefix) {
		return false, nil
	}
	holds, err := p.store.Resolve(ctx, l.MessageID)
	return slices.ContainsFunc(holds, func(h *holdstore.Hold) bool {
		return h.Own() && slices.ContainsFunc(h.Recipients, func(r holdstore.Path) bool {
			return holdstore.Same(r.Address, l.Recipient)
		})
	}), err
}

// postmaster speaks for a site (RFC 5321 section 4.5.1).
const postmaster = "postmaster"

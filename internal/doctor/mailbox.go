package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// mailboxTime is how long a server with mailboxes may take for all that is asked here.
const mailboxTime = 10 * time.Second

// mailboxes looks whether the servers with mailboxes answer, and opens the mailboxes that were named.
func mailboxes(ctx context.Context, s *Site, r report) {
	all, err := wiring.Mailboxes(s.Config, nil)
	if err != nil || all == nil {
		for _, user := range s.Mailboxes {
			noServer(user, s, r)
		}
		return // what is wrong with the config is said elsewhere
	}
	ctx, cancel := context.WithTimeout(ctx, mailboxTime)
	defer cancel()
	for _, b := range all.Servers() {
		if _, err := b.Check(ctx, ""); err != nil {
			r.warn("mailbox.reachable", byHand+"only you know where the mailboxes are: see the address and tls of "+
				"[inbound.mailbox] in "+s.File+", and whether the server runs", "the mail server at %s does not answer: "+
				"what is recalled after delivery stays in its mailboxes: %s", b.Address(), words(err))
			continue
		}
		r.fine("mailbox", "the mail server at %s answers", b.Address())
	}
	for _, user := range s.Mailboxes {
		s.opens(ctx, all, user, r)
	}
}

// opens opens one mailbox, as a recall would, and says what can be done there.
func (s *Site) opens(ctx context.Context, all *mailbox.Mailboxes, user string, r report) {
	can, err := all.Check(ctx, user)
	switch {
	case err == nil:
		r.fine("mailbox", "the mailbox of %s can be opened; %s", user, abilities(can))
	case errors.Is(err, mailbox.ErrNoServer):
		noServer(user, s, r)
	case errors.Is(err, mailbox.ErrNoExpunge):
		r.warn("mailbox.expunge", byHand+"only you know the folder: write unread = \"move:FOLDER\" under [inbound.mailbox] "+
			"in "+s.File+", then: systemctl restart recall-milter", "the mailbox of %s can be opened, and what the policy says "+
			"can't be done there: %s; %s", user, words(err), abilities(can))
	case errors.Is(err, mailbox.ErrNoMove):
		r.warn("mailbox.move", byHand+"the mail server must offer MOVE (RFC 6851) or UIDPLUS (RFC 4315): see its manual",
			"the mailbox of %s can be opened, and nothing can be taken out of it: %s", user, words(err))
	default:
		r.warn("mailbox.login", byHand+"only you know the right login: see docs/mailbox.md for what this server must allow",
			"the mailbox of %s can't be opened: what is recalled after delivery stays there: %s", user, words(err))
	}
}

// abilities says what can be done with one message.
func abilities(can mailbox.Abilities) string {
	words := "a single message can be neither deleted nor moved"
	switch {
	case can.Archive:
		words = "the server moves what is deleted to its trash, and so do recalls and claw backs"
	case can.Delete:
		words = "a single message can be deleted for good, or moved"
	case can.Move:
		words = "a single message can be moved, but not deleted"
	}
	if !can.Watch && (can.Delete || can.Move || can.Archive) {
		words += "; a recall might take a message that is read at the very same moment"
	}
	return words
}

func noServer(user string, s *Site, r report) {
	r.warn("mailbox.server", byHand+"only you know where the mailbox is: add its domain to a [[inbound.mailbox.server]] "+
		"in "+s.File+" (docs/mailbox.md)", "no server is configured for the mailbox of %s: a recall is delivered there, "+
		"and the message stays", user)
}

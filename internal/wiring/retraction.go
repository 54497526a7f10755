package wiring

import (
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
)

// Retractor makes what goes on after the release. The marker needs its secret before anything is asked.
func Retractor(c *config.Config, texts *post.Texts, store *holdstore.Store, marker *mark.Marker,
	log retraction.Log) (*retraction.Retractor, error) {
	domains, err := policy.ParsePatterns(c.Recall.RequestDomains)
	if err != nil {
		return nil, err
	}
	people, err := People(c)
	if err != nil {
		return nil, err
	}
	address := ""
	if len(c.Recall.Addresses) > 0 {
		address = c.Recall.Addresses[0]
	}
	var boxes retraction.Mailbox
	if imap, err := Mailbox(c, texts); err != nil {
		return nil, err
	} else if imap != nil {
		boxes = imap
	}
	return retraction.New(store, post.New(store, texts, address), boxes, marker, log, retraction.Options{
		Ask: c.Recall.AfterRelease == "request", Domains: domains, Within: time.Duration(c.Recall.AnswerWithin),
		People: people, Reports: c.Recall.Reports, Keep: max(time.Duration(c.RecordRetention),
			time.Duration(c.Inbound.Remember))}), nil
}

// Mailbox makes the way into the mailboxes; nil: there is none.
func Mailbox(c *config.Config, texts *post.Texts) (*mailbox.IMAP, error) {
	m, folder := c.Inbound.Mailbox, ""
	if m.Backend != "imap" {
		return nil, nil
	}
	if texts != nil {
		folder = texts.Folder
	}
	return mailbox.New(mailbox.Settings{Address: m.IMAP.Address, TLS: m.IMAP.TLS, MasterUser: m.IMAP.MasterUser,
		PasswordFile: m.IMAP.PasswordFile, Separator: m.IMAP.Separator, Unread: m.Unread, Read: m.Read,
		DryRun: m.DryRun, Texts: folder})
}

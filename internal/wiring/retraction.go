package wiring

import (
	"fmt"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/retraction"
)

// Retractor makes what goes on after the release. The marker needs its secret before anything is asked.
func Retractor(c *config.Config, texts *post.Texts, store *holdstore.Store, marker *mark.Marker,
	log retraction.Log) (*retraction.Retractor, error) {
	domains, err := c.Lists.Patterns(c.Recall.RequestDomains)
	if err != nil {
		return nil, err
	}
	people, err := People(c)
	if err != nil {
		return nil, err
	}
	var boxes retraction.Mailbox
	if all, err := Mailboxes(c, texts); err != nil {
		return nil, err
	} else if all != nil {
		boxes = all
	}
	return retraction.New(store, post.New(store, texts, c.Recall.Addresses...), boxes, marker, log, retraction.Options{
		Ask: c.Recall.AfterRelease == "request", Domains: domains, Within: time.Duration(c.Recall.AnswerWithin),
		People: people, Keep: clawKeep(c)}), nil
}

// clawKeep is how long what was asked for, and what came of it, is known.
func clawKeep(c *config.Config) time.Duration {
	return max(time.Duration(c.RecordRetention), time.Duration(c.Inbound.Remember))
}

// Mailboxes makes the way into the mailboxes; nil: there is none.
func Mailboxes(c *config.Config, texts *post.Texts) (*mailbox.Mailboxes, error) {
	m, folder, clock := c.Inbound.Mailbox, "", Clock(c)
	if texts != nil {
		folder, clock = texts.Folder, texts.Clock // which follows a reload
	}
	servers, err := mailServers(c)
	if err != nil || len(servers) == 0 {
		return nil, err
	}
	return mailbox.New(servers, mailbox.Policy{Unread: m.Unread, Read: m.Read, DryRun: m.DryRun, Texts: folder,
		Clock: clock})
}

func mailServers(c *config.Config) (all []mailbox.Server, err error) {
	for _, s := range c.Inbound.Mailbox.MailServers() {
		domains, err := c.Lists.Patterns(s.Domains)
		if err != nil {
			return nil, err
		}
		one := mailbox.Server{Domains: domains}
		if s.Backend != "none" {
			one = mailbox.Server{Domains: domains, Graph: s.Backend == "graph", Address: s.Address, TLS: s.TLS,
				Auth: s.Auth, Login: s.Login, Unread: s.Unread, Read: s.Read, Notice: s.Notice,
				MaxAge:     time.Duration(*s.MaxAge),
				MasterUser: s.MasterUser, PasswordFile: s.PasswordFile, Token: mailbox.Token{URL: s.Token.URL,
					ClientID: s.Token.ClientID, ClientSecretFile: s.Token.ClientSecretFile, Scope: s.Token.Scope,
					ServiceAccountFile: s.Token.ServiceAccountFile, File: s.Token.File}}
		}
		all = append(all, one)
	}
	return all, nil
}

// mailSecrets looks at logins and secrets of the servers with mailboxes, without a connection to them.
func mailSecrets(c *config.Config) error {
	servers, err := mailServers(c)
	if err != nil {
		return err
	}
	for n, s := range servers {
		if err := s.Defect(); err != nil {
			return fmt.Errorf("%s: %w", c.Inbound.Mailbox.Path(n), err)
		}
	}
	return nil
}

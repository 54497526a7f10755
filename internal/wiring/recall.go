package wiring

import (
	"path/filepath"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/sender"
	"github.com/recall-milter/recall-milter/policy"
)

// Texts reads the words of our mails: a site's own are next to its config file, in the folder texts.
func Texts(file string) (*post.Texts, error) {
	return post.ReadTexts(filepath.Join(filepath.Dir(file), "texts"))
}

// Desk makes the desk for recall commands of a config. rule finds the rule under which a message is held, and link
// makes the address of its page (nil: there is no page).
func Desk(c *config.Config, texts *post.Texts, store *holdstore.Store, rule func(string) policy.Rule, late recall.Late,
	link func(*holdstore.Hold) string, log recall.Log) (*recall.Desk, error) {
	r := c.Recall
	personal, err := policy.ParsePatterns(r.PersonalLogins)
	if err != nil {
		return nil, err
	}
	people, err := People(c)
	if err != nil {
		return nil, err
	}
	return recall.New(store, rule, log, recall.Options{Addresses: r.Addresses, People: people, Outlook: r.Outlook,
		SubjectPrefixes: r.SubjectPrefixes, Supersedes: r.Supersedes, Reports: r.Reports, Notice: r.Notice,
		Rate: r.Rate.Count, Per: r.Rate.Per, Texts: texts, Late: late, Link: link,
		PersonalLogins: personal}), nil
}

// People tells the site's own people from others.
func People(c *config.Config) (sender.Site, error) {
	domains, err := policy.ParsePatterns(c.Outbound.LocalDomains)
	return sender.Site{Domains: domains, Addresses: c.Recall.Addresses}, err
}

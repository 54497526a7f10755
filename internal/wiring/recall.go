package wiring

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/sender"
	"github.com/recall-milter/recall-milter/policy"
)

// Texts reads the forms and words of our mails: a site's own are next to its config file, in the folder texts. The
// daemon reads them at its start, recall-web also at SIGHUP; what SIGHUP changes for the daemon is only what Site
// returns.
func Texts(c *config.Config, file string) (*post.Texts, error) {
	texts, err := post.ReadTexts(filepath.Join(filepath.Dir(file), "texts"), MailLanguages(c)...)
	if err == nil {
		texts.Use(Site(c))
	}
	return texts, err
}

// Site says what a config says of senders and rules.
func Site(c *config.Config) post.Site {
	return post.Site{Language: languageOf(c), Reason: c.Reason, Reports: c.Reports, Clock: Clock(c)}
}

// Clock gives moments the zone of a site's rules, in which its people are told them.
func Clock(c *config.Config) func(time.Time) time.Time {
	return func(t time.Time) time.Time {
		if local, err := c.Clock(t.Local()); err == nil {
			return local
		}
		return t.Local()
	}
}

// Reason says why a hold waits, in the site's words and the sender's language.
func Reason(c *config.Config) func(*holdstore.Hold) string {
	language := languageOf(c)
	return func(h *holdstore.Hold) string { return c.Reason(h.Rule, language(h.Rule, h.Sender.Address)) }
}

// MailLanguages lists the languages that are offered, the default first, and those that only mails have.
func MailLanguages(c *config.Config) []string {
	all := slices.Clone(c.Web.Languages)
	for _, r := range c.Hold.Rules {
		all = append(all, r.Language)
	}
	all = slices.AppendSeq(all, maps.Values(c.Recall.Languages))
	slices.Sort(all[len(c.Web.Languages):])
	return slices.DeleteFunc(all, func(name string) bool { return name == "" })
}

// languageOf says in which language to write to a sender: that of the message's rule, of their domain, or the default.
func languageOf(c *config.Config) func(rule, sender string) string {
	rules, domains := map[string]string{}, map[string]string{}
	for _, r := range c.Hold.Rules {
		rules[r.Name] = r.Language
	}
	for domain, name := range c.Recall.Languages {
		domains[strings.ToLower(domain)] = name
	}
	return func(rule, sender string) string {
		domain := strings.ToLower(sender[strings.LastIndexByte(sender, '@')+1:])
		return cmp.Or(rules[rule], domains[domain], append(c.Web.Languages, "en")[0])
	}
}

// Desk makes the desk for recall commands of a config. rule finds the rule under which a message is held, and link
// makes the address of its page (nil: the page is switched off).
func Desk(c *config.Config, texts *post.Texts, store *holdstore.Store, rule func(string) policy.Rule, late recall.Late,
	link func(*holdstore.Hold) string, log recall.Log) (*recall.Desk, error) {
	r := c.Recall
	personal, err := c.Lists.Patterns(r.PersonalLogins)
	if err != nil {
		return nil, err
	}
	people, err := People(c)
	if err != nil {
		return nil, err
	}
	return recall.New(store, rule, log, recall.Options{Addresses: r.Addresses, People: people, Outlook: r.Outlook,
		SubjectPrefixes: r.SubjectPrefixes, Supersedes: r.Supersedes, Notice: r.Notice,
		Rate: r.Rate.Count, Per: r.Rate.Per, Texts: texts, Config: c.File, Late: late, Link: link,
		PersonalLogins: personal, MaxGrace: time.Duration(c.Hold.MaxGrace), ParseDuration: config.ParseDuration}), nil
}

// People tells the site's own people from others.
func People(c *config.Config) (sender.Site, error) {
	domains, err := c.Lists.Patterns(c.Outbound.LocalDomains)
	return sender.Site{Domains: domains, Addresses: c.Recall.Addresses}, err
}

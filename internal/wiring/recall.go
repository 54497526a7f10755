package wiring

import (
	"path/filepath"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// Desk makes the desk for recall commands of a config that was read from file: a site's own texts lie beside it, in
// the folder texts. rule finds the rule under which a message is held.
func Desk(c *config.Config, file string, store *holdstore.Store, rule func(string) policy.Rule, log recall.Log) (*recall.Desk, error) {
	r := c.Recall
	return recall.New(store, rule, log, recall.Options{Addresses: r.Addresses, Outlook: r.Outlook,
		SubjectPrefixes: r.SubjectPrefixes, Supersedes: r.Supersedes, Reports: r.Reports, Notice: r.Notice,
		Rate: r.Rate.Count, Per: r.Rate.Per, Texts: filepath.Join(filepath.Dir(file), "texts")})
}

package wiring

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// Outbound makes the outbound policy of a config.
func Outbound(c *config.Config) (*policy.Outbound, error) {
	o := policy.Options{Authenticated: c.Outbound.Authenticated, DaemonNames: c.Outbound.DaemonNames,
		Grace: time.Duration(c.Hold.Grace), MaxGrace: time.Duration(c.Hold.MaxGrace),
		RequestHeader: c.Hold.RequestHeader, Wish: policy.Wish(c.Hold.Wish),
		// The Message-ID of what passes is remembered as well, when others may be asked for it.
		Commands: len(c.Recall.Addresses) > 0 || c.Recall.Outlook || c.Recall.Supersedes ||
			c.Recall.AfterRelease == "request",
		ParseDuration: config.ParseDuration, Decode: mailmsg.Text}
	var err error
	if o.Networks, err = policy.ParseNetworks(c.Outbound.Networks); err != nil {
		return nil, err
	}
	if o.LocalDomains, err = c.Lists.Patterns(c.Outbound.LocalDomains); err != nil {
		return nil, err
	}
	for _, r := range c.Hold.Rules {
		rule, err := outboundRule(c, r, o.Grace)
		if err != nil {
			return nil, fmt.Errorf("hold.rule %q: %w", r.Name, err)
		}
		o.Rules = append(o.Rules, rule)
	}
	return policy.NewOutbound(o), nil
}

func outboundRule(c *config.Config, r config.Rule, grace time.Duration) (policy.Rule, error) {
	rule := policy.Rule{Name: r.Name, Grace: grace, Above: int64(r.Size.Above), Below: int64(r.Size.Below),
		Wish: policy.Wish(r.Wish), NoRecall: r.Recall != nil && !*r.Recall, Notice: r.Notice}
	if r.Grace != nil {
		rule.Grace = time.Duration(r.Grace.Duration)
		var err error
		if rule.Graces, err = c.Graces(&r); err != nil {
			return rule, err
		}
	}
	for _, list := range []struct {
		to   *policy.Patterns
		from []string
	}{{&rule.Sender, r.Sender}, {&rule.Recipient, r.Recipient}, {&rule.AllRecipients, r.AllRecipients},
		{&rule.Login, r.Login}, {&rule.DaemonName, r.DaemonName}, {&rule.Delegates, r.Delegates}} {
		var err error
		if *list.to, err = c.Lists.RulePatterns(list.from); err != nil {
			return rule, err
		}
	}
	for name, text := range r.Header {
		p, err := c.Lists.RulePatterns([]string{text})
		if err != nil {
			return rule, err
		}
		rule.Header = append(rule.Header, policy.HeaderCondition{Name: name, Patterns: p})
	}
	if len(r.Subject) > 0 {
		p, err := c.Lists.RulePatterns(r.Subject)
		if err != nil {
			return rule, err
		}
		rule.Header = append(rule.Header, policy.HeaderCondition{Name: "Subject", Patterns: p})
	}
	rule.Recipients, rule.ExternalDomains = policy.Bound(r.Recipients), policy.Bound(r.External)
	slices.SortFunc(rule.Header, func(a, b policy.HeaderCondition) int { return cmp.Compare(a.Name, b.Name) })
	if r.Time != "" {
		w, err := policy.ParseWindow(r.Time)
		if err != nil {
			return rule, err
		}
		rule.Time = &w
	}
	var err error
	rule.Client, err = policy.ParseNetworks(r.Client)
	return rule, err
}

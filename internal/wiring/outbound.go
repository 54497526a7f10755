package wiring

import (
	"fmt"
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
	o.OwnGrace = c.Hold.Own()
	for i := range c.Hold.Rules {
		rule, err := outboundRule(c, &c.Hold.Rules[i], o.Grace)
		if err != nil {
			return nil, fmt.Errorf("hold.rule %q: %w", c.Hold.Rules[i].Name, err)
		}
		o.Rules = append(o.Rules, rule)
	}
	return policy.NewOutbound(o), nil
}

func outboundRule(c *config.Config, r *config.Rule, grace time.Duration) (policy.Rule, error) {
	rule := policy.Rule{Name: r.Name, Grace: grace, Wish: policy.Wish(r.Wish), NoRecall: r.Recall != nil && !*r.Recall,
		Notice: r.Notice, AsSite: r.Grace == nil}
	var err error
	if r.Grace != nil {
		rule.Grace = time.Duration(r.Grace.Duration)
		if rule.Graces, err = c.Graces(r); err != nil {
			return rule, err
		}
		if rule.Until = r.Grace.Until; rule.Until != nil {
			if rule.Calendar, err = c.Calendar(r); err != nil {
				return rule, err
			}
		}
	}
	if rule.Conditions, err = r.Conditions(c); err != nil {
		return rule, err
	}
	rule.Delegates, err = c.Lists.Patterns(r.Delegates)
	return rule, err
}

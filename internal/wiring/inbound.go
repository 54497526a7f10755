package wiring

import (
	"cmp"
	"time"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/policy"
)

// Gate makes the gate for mail that comes in.
func Gate(c *config.Config, memory inbound.Memory, x inbound.Retractor, log inbound.Log) (*inbound.Gate, error) {
	o, err := Inbound(c)
	if err != nil {
		return nil, err
	}
	return inbound.New(o, memory, x, log), nil
}

// Inbound makes the options of the gate, which SIGHUP replaces.
func Inbound(c *config.Config) (inbound.Options, error) {
	in := c.Inbound
	rules, err := inboundRules(c)
	if err != nil {
		return inbound.Options{}, err
	}
	lists, err := c.Lists.Patterns(in.Lists)
	verifier := authenticate.New(authenticate.NewResolver(in.DNS),
		authenticate.Options{Methods: in.Verify, Trust: in.Trust, Sealers: in.ARCSealers})
	return inbound.Options{AuthservID: in.AuthservID, Prefixes: c.Recall.SubjectPrefixes, Rules: rules,
		Remember: time.Duration(in.Remember), Lists: lists, Verifier: verifier}, err
}

// inboundRules ends with the rule "default", which is the table itself; the others take from it what they leave out.
func inboundRules(c *config.Config) (all policy.InboundRules, err error) {
	table := &c.Inbound.Recall
	for _, r := range append(table.Rules[:len(table.Rules):len(table.Rules)],
		config.InboundRule{Name: "default", Partners: table.Partners}) {
		rate := table.Rate
		if r.Rate != nil {
			rate = *r.Rate
		}
		maxAge := table.MaxAge
		if r.MaxAge != nil {
			maxAge = *r.MaxAge
		}
		require := table.Require
		if len(r.Require) > 0 {
			require = r.Require
		}
		partners, err := c.Lists.Patterns(r.Partners)
		if err != nil {
			return nil, err
		}
		all = append(all, policy.InboundRule{Name: r.Name, Partners: partners, Require: require,
			MaxAge: time.Duration(maxAge), Rate: rate.Count,
			Per: rate.Per, Execute: cmp.Or(r.OnPass, table.OnPass) == "execute", OnFail: cmp.Or(r.OnFail, table.OnFail)})
	}
	return all, nil
}

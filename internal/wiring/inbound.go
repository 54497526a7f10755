package wiring

import (
	"time"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/policy"
)

// Gate makes the gate for mail that comes in.
func Gate(c *config.Config, memory inbound.Memory, x inbound.Exchange, log inbound.Log) (*inbound.Gate, error) {
	o, err := Inbound(c)
	if err != nil {
		return nil, err
	}
	return inbound.New(o, authenticate.New(authenticate.NewResolver(c.Inbound.DNS), c.Inbound.Verify), memory, x, log), nil
}

// Inbound makes the options of the gate, which SIGHUP replaces.
func Inbound(c *config.Config) (inbound.Options, error) {
	r := c.Inbound.Recall
	partners, err := policy.ParsePatterns(r.Partners)
	rules := policy.InboundOptions{Require: r.Require, Partners: partners, MaxAge: time.Duration(r.MaxAge), Rate: r.Rate.Count, Per: r.Rate.Per}
	return inbound.Options{AuthservID: c.Inbound.AuthservID, Prefixes: c.Recall.SubjectPrefixes, Rules: rules,
		OnFail: r.OnFail, Execute: r.OnPass == "execute", Remember: time.Duration(c.Inbound.Remember)}, err
}

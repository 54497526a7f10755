package wiring

import (
	"time"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/policy"
)

// Gate makes the gate for mail that comes in.
func Gate(c *config.Config, memory inbound.Memory, log inbound.Log) (*inbound.Gate, error) {
	r := c.Inbound.Recall
	partners, err := policy.ParsePatterns(r.Partners)
	if err != nil {
		return nil, err
	}
	rules := policy.InboundOptions{Require: r.Require, Partners: partners, MaxAge: time.Duration(r.MaxAge), Rate: r.Rate.Count, Per: r.Rate.Per}
	return inbound.New(inbound.Options{AuthservID: c.Inbound.AuthservID, Prefixes: c.Recall.SubjectPrefixes, Rules: rules,
		OnFail: r.OnFail, Remember: time.Duration(c.Inbound.Remember)},
		authenticate.New(authenticate.NewResolver(c.Inbound.DNS), c.Inbound.Verify), memory, log), nil
}

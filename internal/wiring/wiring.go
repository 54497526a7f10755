// Package wiring turns the config into the parts that the daemon and recallctl share.
package wiring

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/policy"
)

// Store opens the hold store of a config. Redis need not be there.
func Store(c *config.Config) (*holdstore.Store, error) {
	r := c.Redis
	var password string
	if r.PasswordFile != "" {
		text, err := os.ReadFile(r.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("redis.password_file: %w", err)
		}
		password = strings.TrimSpace(string(text))
	}
	return holdstore.Open(holdstore.Options{
		Addresses: r.Addresses, SentinelMaster: r.SentinelMaster, Username: r.Username, Password: password, DB: r.DB,
		Prefix: r.Prefix, Durability: r.Durability, Replicas: r.Replicas,
		TLS: r.TLS.Enabled, CAFile: r.TLS.CAFile, ServerName: r.TLS.ServerName,
		RecallRetention: time.Duration(c.Recall.Retention), RecordRetention: time.Duration(c.RecordRetention),
	})
}

// Outbound makes the outbound policy of a config.
func Outbound(c *config.Config) (*policy.Outbound, error) {
	o := policy.Options{Authenticated: c.Outbound.Authenticated, DaemonNames: c.Outbound.DaemonNames,
		Grace: time.Duration(c.Hold.Grace), MaxGrace: time.Duration(c.Hold.MaxGrace),
		RequestHeader: c.Hold.RequestHeader, ParseDuration: config.ParseDuration}
	for _, n := range c.Outbound.Networks {
		network, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("outbound.networks: %w", err)
		}
		o.Networks = append(o.Networks, network)
	}
	for _, r := range c.Hold.Rules {
		o.Rules = append(o.Rules, policy.Rule{Name: r.Name, Sender: r.Sender, Recipient: r.Recipient, Login: r.Login, Grace: time.Duration(r.Grace)})
	}
	return policy.NewOutbound(o), nil
}

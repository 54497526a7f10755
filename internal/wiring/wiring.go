// Package wiring turns the config into the parts that the daemon and recallctl share.
package wiring

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
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

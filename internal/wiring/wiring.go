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
	keys, err := SealKeys(c.Seal.KeyFile)
	if err != nil {
		return nil, err
	}
	return holdstore.Open(holdstore.Options{
		SealKeys:  keys,
		Addresses: r.Addresses, SentinelMaster: r.SentinelMaster, Username: r.Username, Password: password, DB: r.DB,
		Prefix: r.Prefix, Durability: r.Durability, Replicas: r.Replicas,
		TLS: r.TLS.Enabled, CAFile: r.TLS.CAFile, ServerName: r.TLS.ServerName,
		RecallRetention: time.Duration(c.Recall.Retention), RecordRetention: time.Duration(c.RecordRetention),
	})
}

// SealKeys reads a key file; none when file is "".
func SealKeys(file string) ([][]byte, error) {
	if file == "" {
		return nil, nil
	}
	if err := private(file); err != nil {
		return nil, fmt.Errorf("seal.key_file: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("seal.key_file: %w", err)
	}
	keys, err := holdstore.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("seal.key_file: %s: %w", file, err)
	}
	return keys, nil
}

// private refuses a file with a secret that everybody may read.
func private(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s is open to everybody: chmod 0640 %s", file, file)
	}
	return nil
}

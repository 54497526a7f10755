// Package wiring turns the config into the parts that the daemon, recallctl and recall-web share.
package wiring

import (
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/file"
)

// Store opens the hold store of a config. Redis need not be there.
func Store(c *config.Config) (*holdstore.Store, error) {
	r := c.Redis
	password, err := redisPassword(r.PasswordFile)
	if err != nil {
		return nil, err
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

// SealKeys reads a key file; none when path is "".
func SealKeys(path string) ([][]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := file.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("seal.key_file: %w", err)
	}
	keys, err := holdstore.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("seal.key_file: %s: %w", path, err)
	}
	return keys, nil
}

func redisPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := file.ReadSecret(path)
	if err != nil {
		return "", fmt.Errorf("redis.password_file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Secrets reads every file with a secret that a config names, and says what is wrong with one.
func Secrets(c *config.Config) error {
	if c.SecretFile != "" {
		if _, err := Secret(c.SecretFile); err != nil {
			return err
		}
	}
	if _, err := SealKeys(c.Seal.KeyFile); err != nil {
		return err
	}
	if _, err := redisPassword(c.Redis.PasswordFile); err != nil {
		return err
	}
	return mailSecrets(c)
}

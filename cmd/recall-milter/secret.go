package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// secret returns the secret from secret_file or, waiting for Redis, from the store.
func (d *daemon) secret(ctx context.Context, store *holdstore.Store) ([]byte, error) {
	if d.config.SecretFile != "" {
		return readSecret(d.config.SecretFile)
	}
	for told := false; ; told = true {
		secret, err := store.Secret(ctx)
		if err == nil || ctx.Err() != nil {
			return secret, ctx.Err()
		}
		if !told {
			d.log.Trouble("waiting for Redis: nothing is released until it is back", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func readSecret(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("secret_file: %s must hold 32 bytes in base64; make one with: openssl rand -base64 32", file)
	}
	return secret, nil
}

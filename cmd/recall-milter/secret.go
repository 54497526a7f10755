package main

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// secret returns the secret from secret_file or, waiting for Redis, from the store.
func (d *daemon) secret(ctx context.Context, store *holdstore.Store) ([]byte, error) {
	if d.config.SecretFile != "" {
		return wiring.Secret(d.config.SecretFile)
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

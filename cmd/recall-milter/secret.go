package main

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

const resealTime = 5 * time.Second

// reseal seals the secret in the store with the first key, as all that comes from now on, and uses it, in case its key
// has come back. Until it can be done, the key before is needed.
func (d *daemon) reseal(store *holdstore.Store) {
	if d.config.SecretFile != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), resealTime)
	defer cancel()
	err := store.ResealSecret(ctx)
	if err == nil {
		var secret []byte
		if secret, err = store.Secret(ctx); err == nil {
			d.use(secret)
		}
	}
	if err != nil {
		d.log.Trouble("the secret in the store is still sealed with the key before: keep that key, and reload again", err)
	}
}

// use sets the secret of everything that is made with it.
func (d *daemon) use(secret []byte) {
	d.marker.Use(secret)
	d.book.Use(secret)
}

// secret returns the secret from secret_file or, waiting for Redis, from the store. A seal key that is missing stops no
// mail but what it seals: then this gateway goes on with a secret of its own, until the key is back.
func (d *daemon) secret(ctx context.Context, store *holdstore.Store) ([]byte, error) {
	if d.config.SecretFile != "" {
		return wiring.Secret(d.config.SecretFile)
	}
	begun := time.Now()
	for told := false; ; told = true {
		secret, err := store.Secret(ctx)
		if err == nil && told {
			d.log.Recovered("Redis answers, and mail is released", time.Since(begun))
		}
		if err == nil || ctx.Err() != nil {
			return secret, ctx.Err()
		}
		if errors.Is(err, holdstore.ErrNoKey) {
			d.log.Trouble("mail is released, but marks and recall requests of other gateways, and of before, are not known", err)
			secret = make([]byte, 32)
			rand.Read(secret)
			return secret, nil
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

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// reloadOnHangup re-reads the rules, the inbound policy and the seal keys at SIGHUP; a bad file keeps the old ones.
func (d *daemon) reloadOnHangup(ctx context.Context, gate *inbound.Gate, store *holdstore.Store) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := d.reload(gate, store); err != nil {
				d.log.Trouble("reload: the file is refused, the old rules stay in force", err)
			}
		}
	}
}

func (d *daemon) reload(gate *inbound.Gate, store *holdstore.Store) error {
	c, err := config.Load(d.file)
	if err != nil {
		return err
	}
	rules, err := wiring.Outbound(c)
	if err != nil {
		return err
	}
	arriving, err := wiring.Inbound(c)
	if err != nil {
		return err
	}
	keys, err := wiring.SealKeys(c.Seal.KeyFile)
	if err != nil {
		return err
	}
	if err := store.UseKeys(keys); err != nil {
		return err
	}
	d.outbound.Store(rules)
	gate.Use(arriving)
	return nil
}

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// reloadOnHangup re-reads the rules at SIGHUP; a bad file keeps the old ones.
func (d *daemon) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := d.reload(); err != nil {
				d.log.Trouble("reload: the file is refused, the old rules stay in force", err)
			}
		}
	}
}

func (d *daemon) reload() error {
	c, err := config.Load(d.file)
	if err != nil {
		return err
	}
	rules, err := wiring.Outbound(c)
	if err != nil {
		return err
	}
	d.outbound.Store(rules)
	return nil
}

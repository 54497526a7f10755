package main

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/monitor"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// reloadOnHangup reads the config again at SIGHUP; a bad file keeps what was in force.
func (d *daemon) reloadOnHangup(ctx context.Context, gate *inbound.Gate, store *holdstore.Store, log *monitor.Metrics) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hangup:
			sum, waiting, err := d.reload(gate, store)
			if err != nil {
				log.ReloadRefused(d.file, config.Lines(err))
				continue
			}
			log.Reloaded(d.file, sum, waiting)
		}
	}
}

// reload takes of the file what can change while the daemon runs. It returns the file's sum, and the changed keys that
// can't.
func (d *daemon) reload(gate *inbound.Gate, store *holdstore.Store) (sum string, waiting []string, err error) {
	next, err := config.Load(d.file)
	if err != nil {
		return "", nil, err
	}
	c, waiting := d.config.Reload(next)
	rules, err := wiring.Outbound(c)
	if err != nil {
		return "", nil, err
	}
	arriving, err := wiring.Inbound(c)
	if err != nil {
		return "", nil, err
	}
	keys, err := wiring.SealKeys(c.Seal.KeyFile)
	if err != nil {
		return "", nil, err
	}
	if err := store.UseKeys(keys); err != nil {
		return "", nil, err
	}
	d.outbound.Store(rules)
	c.Lists.KeepOnly(c.FileNames())
	d.maps.Close() // some may be of servers that no rule names any more
	d.texts.Use(wiring.Site(c))
	gate.SetOptions(arriving)
	d.book.Keep(time.Duration(c.Hold.Remember))
	d.reseal(store)
	d.doubt(c)
	return next.Sum, waiting, nil
}

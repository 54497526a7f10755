package main

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/monitor"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/release"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/milter"
	"github.com/recall-milter/recall-milter/policy"
)

// daemon is everything that runs, wired together.
type daemon struct {
	config   *config.Config
	file     string
	log      *maillog.Log
	outbound atomic.Pointer[policy.Outbound] // replaced by SIGHUP
	texts    *recall.Texts
	marker   mark.Marker
}

// newDaemon checks all that can be checked without listening.
func newDaemon(c *config.Config, file string, stderr io.Writer) (*daemon, error) {
	log, err := newLog(c.Log, stderr)
	if err != nil {
		return nil, err
	}
	d := &daemon{config: c, file: file, log: log}
	rules, err := wiring.Outbound(c)
	if err != nil {
		return nil, err
	}
	d.outbound.Store(rules)
	if err := wiring.Secrets(c); err != nil {
		return nil, err
	}
	if d.texts, err = wiring.Texts(file); err != nil {
		return nil, err
	}
	return d, nil
}

// serve listens and releases until ctx ends, then drains.
func (d *daemon) serve(ctx context.Context) error {
	store, err := wiring.Store(d.config)
	if err != nil {
		return err
	}
	defer store.Close()
	log := monitor.New(d.log, store, version)
	store.OnDefect(log.Panicked)
	marker := &d.marker
	late, err := wiring.Exchange(d.config, d.texts, store, marker, log)
	if err != nil {
		return err
	}
	gate, err := wiring.Gate(d.config, store, late, log)
	if err != nil {
		return err
	}
	rule := func(name string) policy.Rule { return d.outbound.Load().Rule(name) }
	desk, err := wiring.Desk(d.config, d.texts, store, rule, late, log)
	if err != nil {
		return err
	}
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	status, err := d.listenHTTP()
	if err != nil {
		return err
	}
	d.started()
	defer d.logWhyItStops(ctx)()
	ctx, cancel := context.WithCancel(ctx) // whatever ends the daemon ends all of it
	var wg sync.WaitGroup
	defer d.log.Ended()
	defer wg.Wait()
	defer cancel()
	run := func(name string, f func(context.Context)) { wg.Go(func() { task(ctx, log, name, f) }) }
	run("a reload", func(ctx context.Context) { d.reloadOnHangup(ctx, gate, store, log) })
	run("the memory of mail that comes in", gate.Run)
	run("the memory of mail that is not held", late.RememberUnheld)

	loop := release.New(log.Timed(store), marker, log, d.releaseOptions())

	// MTAs are answered at once, also while Redis, which may have the secret, is away.
	server := &milter.Server{
		Policy:         func() milter.Policy { return d.outbound.Load() },
		Store:          log.Taking(milter.HoldStore(store)),
		Mark:           marker,
		Log:            log,
		Inbound:        gate,
		Commands:       desk,
		OnStoreFailure: d.config.OnStoreFailure,
		MaxSize:        int64(d.config.Hold.MaxSize),
		TooLarge:       loop.TooLarge,
		Unheld:         late.Unheld,
		Session:        log.Session,
	}
	for _, l := range listeners {
		wg.Go(func() {
			if err := server.Serve(ctx, l); err != nil {
				log.Trouble("a milter port is closed: the MTA does there what milter_default_action says", err)
			}
		})
	}
	if status != nil {
		wg.Go(func() {
			if err := monitor.Serve(ctx, status, log, store, loop.Alive); err != nil {
				log.Trouble("the http port is closed: mail goes on, monitoring sees nothing", err)
			}
		})
	}
	run("the count of the audit trail", func(ctx context.Context) { log.Follow(ctx, store) })
	run("the watchdog", func(ctx context.Context) { watchdog(ctx, loop.Alive) })
	tell(systemd.SdNotifyReady)
	defer tell(systemd.SdNotifyStopping)
	secret, err := d.secret(ctx, store)
	if ctx.Err() != nil {
		return nil // ended while Redis was away
	}
	if err != nil {
		return err
	}
	marker.Use(secret)
	run("the exchange with other gateways", late.Run)
	run("a look at Redis", func(ctx context.Context) { d.warn(ctx, store) })
	return loop.Run(ctx)
}

// logWhyItStops logs the cause as soon as ctx ends, before the daemon drains. It takes the context of the signal: the cause of a
// context derived from it can still be unknown at that moment.
func (d *daemon) logWhyItStops(signalled context.Context) (stop func() bool) {
	return context.AfterFunc(signalled, func() { d.log.Stopping(context.Cause(signalled).Error()) })
}

// started says what runs, and what of its config somebody hardly wants.
func (d *daemon) started() {
	c := d.config
	addresses := []string{"listen=" + strings.Join(c.Listen, " "), "release=" + c.Release.SMTP, "redis=" + strings.Join(c.Redis.Addresses, " ")}
	if c.HTTP.Listen != "" {
		addresses = append(addresses, "http="+c.HTTP.Listen)
	}
	d.log.Started(version, d.file, addresses...)
	d.doubt(c)
}

func (d *daemon) doubt(c *config.Config) {
	for _, doubt := range c.Doubts {
		d.log.Trouble(doubt.Place()+": "+doubt.Text, nil)
	}
}

// warn says once what about Redis could lose or delay mail although it is taken; recallctl doctor looks again.
func (d *daemon) warn(ctx context.Context, store *holdstore.Store) {
	all, _ := store.Warnings(ctx)
	for _, w := range all {
		d.log.Trouble(w, nil)
	}
}

func (d *daemon) releaseOptions() release.Options {
	r := d.config.Release
	return release.Options{SMTP: r.SMTP, OwnSMTP: r.OwnSMTP, ByDaemon: r.SMTPByDaemon, CancelLock: r.CancelLock, Received: r.Received, Concurrency: r.Concurrency, First: time.Duration(r.Retry.First),
		Max: time.Duration(r.Retry.Max), GiveUpAfter: time.Duration(r.Retry.GiveUpAfter)}
}

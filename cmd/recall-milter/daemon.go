package main

import (
	"context"
	"io"
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
	marker := &mark.Marker{}
	late, err := wiring.Exchange(d.config, d.texts, store, marker, log)
	if err != nil {
		return err
	}
	gate, err := wiring.Gate(d.config, store, late, log)
	if err != nil {
		return err
	}
	rule := func(name string) policy.Rule { return d.outbound.Load().Rule(name) }
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	status, err := d.listenHTTP()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx) // whatever ends the daemon ends all of it
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { d.reloadOnHangup(ctx, gate, store) })
	wg.Go(func() { gate.Run(ctx) })

	loop := release.New(log.Timed(store), marker, log, d.releaseOptions())

	// MTAs are answered at once, also while Redis, which may have the secret, is away.
	server := &milter.Server{
		Policy:         func() milter.Policy { return d.outbound.Load() },
		Store:          log.Taking(milter.HoldStore(store)),
		Mark:           marker,
		Log:            log,
		Inbound:        gate,
		Commands:       wiring.Desk(d.config, d.texts, store, rule, late, log),
		OnStoreFailure: d.config.OnStoreFailure,
		MaxSize:        int64(d.config.Hold.MaxSize),
		TooLarge:       loop.TooLarge,
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
	wg.Go(func() { log.Follow(ctx, store) })
	wg.Go(func() { watchdog(ctx, loop.Alive) })
	tell(systemd.SdNotifyReady)
	defer tell(systemd.SdNotifyStopping)
	secret, err := d.secret(ctx, store)
	if err != nil {
		return err
	}
	marker.Use(secret)
	wg.Go(func() { late.Run(ctx) })
	wg.Go(func() { d.warn(ctx, store) })
	return loop.Run(ctx)
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
	return release.Options{SMTP: r.SMTP, OwnSMTP: r.OwnSMTP, CancelLock: r.CancelLock, Received: r.Received, Concurrency: r.Concurrency, First: time.Duration(r.Retry.First),
		Max: time.Duration(r.Retry.Max), GiveUpAfter: time.Duration(r.Retry.GiveUpAfter)}
}

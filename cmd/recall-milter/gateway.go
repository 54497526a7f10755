package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/choice"
	"github.com/recall-milter/recall-milter/internal/correspondents"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/monitor"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/release"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/milter"
	"github.com/recall-milter/recall-milter/policy"
)

// gateway is the daemon at work: the store, the rooms that work on it, and the ports that are open.
type gateway struct {
	*daemon
	store     *holdstore.Store
	log       *monitor.Metrics
	late      *retraction.Retractor
	gate      *inbound.Gate
	desk      *recall.Desk
	loop      *release.Loop
	listeners []net.Listener
	status    net.Listener // nil: no monitoring
	own       *choice.Choices
}

// assemble makes all rooms; nothing of it listens or works yet.
func (d *daemon) assemble(store *holdstore.Store) (*gateway, error) {
	g := &gateway{daemon: d, store: store, log: monitor.New(d.log, store, version)}
	g.log.Read(d.config.Sum)
	g.log.Watch(d.config.Lists)
	store.OnDefect(g.log.Panicked)
	store.OnDamage(func(what string) { g.log.Damaged(what + "; see " + hint.Recallctl(d.file, "fsck")) })
	d.book = correspondents.New(store, time.Duration(d.config.Hold.Remember), g.log)
	var err error
	if g.late, err = wiring.Retractor(d.config, d.texts, store, &d.marker, g.log); err != nil {
		return nil, err
	}
	if g.gate, err = wiring.Gate(d.config, store, g.late, g.log); err != nil {
		return nil, err
	}
	g.gate.Came = d.book.NoteCame
	rule := func(name string) policy.Rule { return d.outbound.Load().Rule(name) }
	if g.desk, err = wiring.Desk(d.config, d.texts, store, rule, g.late,
		wiring.HoldLink(d.config, &d.marker), g.log); err != nil {
		return nil, err
	}
	g.own = choice.New(store, func() bool { return d.outbound.Load().MayChoose() })
	g.loop = release.New(g.log.Timed(store), &d.marker, g.log, d.releaseOptions())
	return g, nil
}

// open opens all ports, or none.
func (g *gateway) open() (err error) {
	if g.listeners, err = g.listen(); err != nil {
		return err
	}
	if g.status, err = g.listenHTTP(); err != nil {
		for _, l := range g.listeners {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// run answers MTAs and releases until ctx ends, lets what is under way finish, and returns when nothing runs any more.
func (g *gateway) run(ctx context.Context) error {
	g.started()
	defer g.logWhyItStops(ctx)()
	ctx, cancel := context.WithCancel(ctx) // whatever ends the daemon ends all of it
	var wg sync.WaitGroup
	defer g.daemon.log.Ended()
	defer wg.Wait()
	defer cancel()
	run := func(name string, f func(context.Context)) { wg.Go(func() { task(ctx, g.log, name, f) }) }
	run("a reload", func(ctx context.Context) { g.reloadOnHangup(ctx, g.gate, g.store, g.log) })
	run("the look at lists", func(ctx context.Context) { g.config.Lists.Follow(ctx, g.log) })
	run("the look at what people have chosen", g.own.Follow)
	run("the memory of mail that comes in", g.gate.Run)
	run("the memory of correspondents", g.book.Run)
	run("the memory of mail that is not held", g.late.RememberUnheld)
	g.answer(ctx, &wg)
	run("the end of a Redis that hangs", g.abandonHung)
	run("the count of the audit trail", func(ctx context.Context) { g.log.Follow(ctx, g.store) })
	run("the watchdog", func(ctx context.Context) { watchdog(ctx, g.loop.Alive) })
	tell(systemd.SdNotifyReady)
	defer tell(systemd.SdNotifyStopping)
	secret, err := g.secret(ctx, g.store)
	if ctx.Err() != nil {
		return nil // ended while Redis was away
	}
	if err != nil {
		return err
	}
	g.use(secret)
	run("retractions", g.late.Run)
	run("a look at Redis", func(ctx context.Context) { g.warn(ctx, g.store) })
	return g.loop.Run(ctx)
}

// hungTime is how long a Redis may take for an answer when the daemon is told to end.
const hungTime = 2 * time.Second

// abandonHung waits until the daemon is told to end, and nothing is being sent. When Redis does not answer then, all
// that waits for it would do so in vain, one time-out after the other: it fails at once instead.
func (g *gateway) abandonHung(ctx context.Context) {
	<-ctx.Done()
	tick := time.NewTicker(hungTime / 20)
	defer tick.Stop()
	for g.loop.Sending() {
		<-tick.C
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), hungTime)
	defer cancel()
	if g.store.Ping(ask) != nil {
		_ = g.store.Abandon() // what it says of connections that hang helps nobody
	}
}

// answer serves all ports until ctx ends. MTAs are answered at once, also while Redis, which can have the secret, is
// away.
func (g *gateway) answer(ctx context.Context, wg *sync.WaitGroup) {
	g.maps.Log = g.log
	server := &milter.Server{
		Policy:         func() milter.Policy { return g.outbound.Load() },
		Store:          g.log.Taking(milter.HoldStore(g.store)),
		Mark:           &g.marker,
		Log:            g.log,
		Inbound:        g.gate,
		Commands:       g.desk,
		OnStoreFailure: g.config.OnStoreFailure,
		MaxSize:        int64(g.config.Hold.MaxSize),
		TooLarge:       g.loop.TooLarge,
		Left:           g.store.LeftAt,
		Unheld:         g.late.Unheld,
		Session:        g.log.Session,
		Ask:            wiring.Answers(&g.maps, g.book.Ask),
		OwnGrace:       g.own.Of,
	}
	for _, l := range g.listeners {
		wg.Go(func() {
			if err := server.Serve(ctx, l); err != nil {
				g.log.Trouble("a milter port is closed: the MTA does there what milter_default_action says", err)
			}
		})
	}
	if g.status == nil {
		return
	}
	wg.Go(func() {
		if err := monitor.Serve(ctx, g.status, g.log, g.store, g.loop.Alive); err != nil {
			g.log.Trouble("the http port is closed: mail goes on, monitoring sees nothing", err)
		}
	})
}

func (d *daemon) releaseOptions() release.Options {
	r := d.config.Release
	return release.Options{
		SMTP:        r.SMTP,
		OwnSMTP:     r.OwnSMTP,
		ByDaemon:    r.SMTPByDaemon,
		CancelLock:  r.CancelLock,
		Received:    r.Received,
		Concurrency: r.Concurrency,
		First:       time.Duration(r.Retry.First),
		Max:         time.Duration(r.Retry.Max),
		GiveUpAfter: time.Duration(r.Retry.GiveUpAfter),
		Sent:        d.book.NoteSent,
		Config:      d.file,
	}
}

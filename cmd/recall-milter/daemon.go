package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/correspondents"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/socketmap"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

// daemon is everything that runs, wired together.
type daemon struct {
	config   *config.Config
	file     string
	log      *maillog.Log
	outbound atomic.Pointer[policy.Outbound] // replaced by SIGHUP
	texts    *post.Texts
	marker   mark.Marker
	maps     socketmap.Client
	book     *correspondents.Book // made with the store
	hangup   chan os.Signal
}

// newDaemon checks all that can be checked without listening.
func newDaemon(c *config.Config, file string, stderr io.Writer) (*daemon, error) {
	log, err := wiring.Log(c.Log, stderr)
	if err != nil {
		return nil, err
	}
	if err := c.Lists.Read(c.ListNames()); err != nil {
		return nil, err
	}
	d := &daemon{config: c, file: file, log: log, hangup: make(chan os.Signal, 1)}
	rules, err := wiring.Outbound(c)
	if err != nil {
		return nil, err
	}
	d.outbound.Store(rules)
	if err := wiring.Secrets(c); err != nil {
		return nil, err
	}
	if d.texts, err = wiring.Texts(d.config, file); err != nil {
		return nil, err
	}
	return d, nil
}

// serve listens and releases until ctx ends, then drains.
func (d *daemon) serve(ctx context.Context) error {
	// Before a port is open: whoever sees one may send SIGHUP, which would end a program that does not wait for it.
	signal.Notify(d.hangup, syscall.SIGHUP)
	defer signal.Stop(d.hangup)
	store, err := wiring.Store(d.config)
	if err != nil {
		return err
	}
	defer store.Close()
	g, err := d.assemble(store)
	if err != nil {
		return err
	}
	if err := g.open(); err != nil {
		return err
	}
	return g.run(ctx)
}

// logWhyItStops logs the cause as soon as ctx ends, before the daemon drains. It takes the context of the signal: the
// cause of a context derived from it can still be unknown at that moment. end waits until it is logged.
func (d *daemon) logWhyItStops(signalled context.Context) (end func()) {
	logged := make(chan struct{})
	stop := context.AfterFunc(signalled, func() {
		defer close(logged)
		d.log.Stopping(context.Cause(signalled).Error())
	})
	return func() {
		if !stop() {
			<-logged
		}
	}
}

// started says what runs, and what of its config somebody hardly wants.
func (d *daemon) started() {
	c := d.config
	addresses := []string{"listen=" + strings.Join(c.Listen, " "), "release=" + c.Release.SMTP,
		"redis=" + strings.Join(c.Redis.Addresses, " ")}
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

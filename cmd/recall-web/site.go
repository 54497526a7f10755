package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/socket"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// site is everything that runs, wired together.
type site struct {
	file   string
	log    *maillog.Log
	store  *holdstore.Store
	marker mark.Marker
	page   *page          // that of the first look at the config
	hangup chan os.Signal // to look at it again
}

// newSite checks all that can be checked without listening.
func newSite(c *config.Config, file string, stderr io.Writer) (*site, error) {
	if len(c.Web.Listen) == 0 {
		return nil, errors.New("web.listen is empty: name the address of the page in the table [web]")
	}
	log, err := wiring.Log(c.Log, stderr)
	if err != nil {
		return nil, err
	}
	w := &site{file: file, log: log, hangup: make(chan os.Signal, 1)}
	if w.store, err = wiring.Store(c); err != nil {
		return nil, err
	}
	w.store.OnDefect(log.Panicked)
	if w.page, err = w.newPage(c); err != nil {
		return nil, errors.Join(err, w.store.Close())
	}
	return w, nil
}

// examiner looks at the site for operators, once at a time: each look asks all servers.
func examiner(c *config.Config, file string, store *holdstore.Store) func(context.Context) []web.Finding {
	var one sync.Mutex
	return func(ctx context.Context) (all []web.Finding) {
		one.Lock()
		defer one.Unlock()
		site := &doctor.Site{File: file, Config: c, Store: store, Version: version}
		for _, f := range doctor.FromAfar(ctx, site) {
			all = append(all, web.Finding{Level: string(f.Level), Text: f.Text, Fix: f.Fix})
		}
		return all
	}
}

// serve answers until ctx ends. At SIGHUP a page of the config as it is then takes over.
func (w *site) serve(ctx context.Context) error {
	// Before a port is open: whoever sees one may send SIGHUP, which would end a program that does not wait for it.
	signal.Notify(w.hangup, syscall.SIGHUP)
	defer signal.Stop(w.hangup)
	secret, err := w.secret(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	w.marker.Use(secret)
	listeners, err := w.listen()
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	of := w.page.config.Web
	w.log.Started(version, w.file, "listen="+strings.Join(of.Listen, " "), "base="+of.BaseURL)
	defer w.log.Ended()
	_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
	var ending sync.WaitGroup
	defer ending.Wait()
	for now := w.page; now != nil && err == nil; {
		now, err = w.serveUntilReload(ctx, now, listeners, &ending)
	}
	return err
}

// socketMode is that of a unix socket of the page: for the web server, which is in its group.
const socketMode os.FileMode = 0o660

// listen opens all ports, or none.
func (w *site) listen() (all []net.Listener, err error) {
	for _, spec := range w.page.config.Web.Listen {
		network, address := "tcp", spec
		if path, ok := strings.CutPrefix(spec, "unix:"); ok {
			network, address = "unix", path
		}
		l, err := socket.Listen(network, address, socketMode, "")
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("web.listen %q: %w", spec, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func closeAll(all []net.Listener) {
	for _, l := range all {
		l.Close()
	}
}

// secret returns the gateway's secret, waiting for Redis where that has it.
func (w *site) secret(ctx context.Context) ([]byte, error) {
	begun := time.Now()
	for told := false; ; told = true {
		secret, err := wiring.GatewaySecret(ctx, w.page.config, w.store)
		if err == nil && told {
			w.log.Recovered("Redis answers, and the page is there", time.Since(begun))
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, holdstore.ErrUnavailable) {
			return secret, err
		}
		if !told {
			w.log.Trouble("waiting for Redis: the page is not there until it is back", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
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
	config *config.Config
	file   string
	log    *maillog.Log
	store  *holdstore.Store
	marker mark.Marker
	server *web.Server
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
	w := &site{config: c, file: file, log: log}
	if w.store, err = wiring.Store(c); err != nil {
		return nil, err
	}
	w.store.OnDefect(log.Panicked)
	if w.server, err = wiring.Web(c, file, w.store, &w.marker, log); err != nil {
		return nil, errors.Join(err, w.store.Close())
	}
	w.server.ExamineBy(examiner(c, file, w.store))
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

// serve answers until ctx ends.
func (w *site) serve(ctx context.Context) error {
	certificate, err := w.certificate()
	if err != nil {
		return err
	}
	secret, err := w.secret(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	w.marker.Use(secret)
	listeners, err := w.listen()
	if err != nil {
		return err
	}
	w.log.Started(version, w.file, "listen="+strings.Join(w.config.Web.Listen, " "), "base="+w.config.Web.BaseURL)
	defer w.log.Ended()
	_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { w.config.Lists.Follow(ctx, w.log) })
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		wg.Go(func() {
			ended <- w.server.Serve(ctx, l, certificate)
			cancel() // one port without the other is not a page
		})
	}
	wg.Wait()
	close(ended)
	for e := range ended {
		err = errors.Join(err, e)
	}
	return err
}

func (w *site) certificate() (*tls.Config, error) {
	files := w.config.Web.TLS
	if files.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("web.tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// socketMode is that of a unix socket of the page: for the web server, which is in its group.
const socketMode os.FileMode = 0o660

// listen opens all ports, or none.
func (w *site) listen() (all []net.Listener, err error) {
	for _, spec := range w.config.Web.Listen {
		network, address := "tcp", spec
		if path, ok := strings.CutPrefix(spec, "unix:"); ok {
			network, address = "unix", path
		}
		l, err := socket.Listen(network, address, socketMode, "")
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, fmt.Errorf("web.listen %q: %w", spec, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// secret returns the gateway's secret, waiting for Redis where that has it.
func (w *site) secret(ctx context.Context) ([]byte, error) {
	for told := false; ; told = true {
		secret, err := wiring.GatewaySecret(ctx, w.config, w.store)
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

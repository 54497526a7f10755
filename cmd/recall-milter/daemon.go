package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/release"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/milter"
	"github.com/recall-milter/recall-milter/policy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// daemon is everything that runs, wired together.
type daemon struct {
	config   *config.Config
	file     string
	log      *maillog.Log
	outbound atomic.Pointer[policy.Outbound] // replaced by SIGHUP
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
	return d, nil
}

// serve listens and releases until ctx ends, then drains.
func (d *daemon) serve(ctx context.Context) error {
	store, err := wiring.Store(d.config)
	if err != nil {
		return err
	}
	defer store.Close()
	desk, err := wiring.Desk(d.config, d.file, store, func(name string) policy.Rule { return d.outbound.Load().Rule(name) }, d.log)
	if err != nil {
		return err
	}
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.reloadOnHangup(ctx) })

	// MTAs are answered at once, also while Redis, which may have the secret, is away.
	marker := &mark.Marker{}
	server := &milter.Server{
		Policy:         func() milter.Policy { return d.outbound.Load() },
		Store:          milter.HoldStore(store),
		Mark:           marker,
		Log:            d.log,
		Commands:       desk,
		OnStoreFailure: d.config.OnStoreFailure,
		MaxSize:        int64(d.config.Hold.MaxSize),
	}
	for _, l := range listeners {
		wg.Go(func() {
			if err := server.Serve(ctx, l); err != nil {
				d.log.Trouble("a milter port is closed: the MTA does there what milter_default_action says", err)
			}
		})
	}
	secret, err := d.secret(ctx, store)
	if err != nil {
		return err
	}
	marker.Use(secret)
	return release.New(store, marker, d.log, d.releaseOptions()).Run(ctx)
}

func (d *daemon) releaseOptions() release.Options {
	r := d.config.Release
	return release.Options{SMTP: r.SMTP, Concurrency: r.Concurrency, First: time.Duration(r.Retry.First),
		Max: time.Duration(r.Retry.Max), GiveUpAfter: time.Duration(r.Retry.GiveUpAfter)}
}

// secret returns the secret from secret_file or, waiting for Redis, from the store.
func (d *daemon) secret(ctx context.Context, store *holdstore.Store) ([]byte, error) {
	if d.config.SecretFile != "" {
		return readSecret(d.config.SecretFile)
	}
	for told := false; ; told = true {
		secret, err := store.Secret(ctx)
		if err == nil || ctx.Err() != nil {
			return secret, ctx.Err()
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

func readSecret(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("secret_file: %s must hold 32 bytes in base64; make one with: openssl rand -base64 32", file)
	}
	return secret, nil
}

// listen opens every listen address, or none.
func (d *daemon) listen() ([]net.Listener, error) {
	var all []net.Listener
	for _, spec := range d.config.Listen {
		l, err := d.listenAt(spec)
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, fmt.Errorf("listen %q: %w", spec, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func (d *daemon) listenAt(spec string) (net.Listener, error) {
	network, address, err := config.ParseListen(spec)
	if err != nil {
		return nil, err
	}
	if network != "unix" {
		return net.Listen(network, address)
	}
	if err := removeStaleSocket(address); err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if err := d.open(address); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStaleSocket removes what a killed daemon left, and nothing that answers or is no socket.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fmt.Errorf("another daemon answers at %s", path)
	}
	return os.Remove(path)
}

// open gives the MTA its rights on a unix socket.
func (d *daemon) open(path string) error {
	if name := d.config.SocketGroup; name != "" {
		group, err := user.LookupGroup(name)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
	}
	return os.Chmod(path, os.FileMode(d.config.SocketMode))
}

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

// newLog builds the log of the [log] table; it goes to standard error, where systemd or a person reads it.
func newLog(c config.Log, stderr io.Writer) (*maillog.Log, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	sink := zapcore.Lock(zapcore.AddSync(stderr))
	if c.Format == "json" {
		return maillog.New(zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), sink, level)), true), nil
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "msg", LineEnding: "\n"})
	return maillog.New(zap.New(zapcore.NewCore(encoder, sink, level)), false), nil
}

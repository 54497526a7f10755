package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// page is what is served of one look at the config.
type page struct {
	config      *config.Config
	server      *web.Server
	certificate *tls.Config // nil: plain HTTP
}

func (w *site) newPage(c *config.Config) (p *page, err error) {
	p = &page{config: c}
	if p.certificate, err = certificate(c.Web.TLS); err != nil {
		return nil, err
	}
	if p.server, err = wiring.Web(c, w.file, w.store, &w.marker, w.log); err != nil {
		return nil, err
	}
	p.server.ExamineBy(examiner(c, w.file, w.store))
	return p, nil
}

func certificate(files config.WebTLS) (*tls.Config, error) {
	if files.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("web.tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// serveUntilReload serves a page until the next one takes over, which it returns; nil: ctx has ended, or the page has.
// What is under way then ends by itself; ending counts that. Nobody who connects meanwhile is turned away.
func (w *site) serveUntilReload(ctx context.Context, now *page, listeners []net.Listener, ending *sync.WaitGroup) (
	*page, error) {
	copies, err := copied(listeners)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	ending.Go(func() { ended <- w.answer(ctx, now, copies) })
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-w.hangup:
			next, waiting, err := w.reload(now.config)
			if err != nil {
				w.log.ReloadRefused(w.file, config.Lines(err))
				continue
			}
			w.log.Reloaded(w.file, waiting)
			return next, nil
		}
	}
}

// answer serves a page at all its ports until ctx ends.
func (w *site) answer(ctx context.Context, p *page, listeners []net.Listener) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { p.config.Lists.Follow(ctx, w.log) })
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		wg.Go(func() {
			ended <- p.server.Serve(ctx, l, p.certificate)
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

// copied returns listeners of the same ports. A port stays open when a copy of its listener is closed.
func copied(listeners []net.Listener) (all []net.Listener, err error) {
	for _, l := range listeners {
		open, ok := l.(interface{ File() (*os.File, error) })
		if !ok {
			closeAll(all)
			return nil, fmt.Errorf("a listener of type %T can't be copied", l)
		}
		f, err := open.File()
		if err != nil {
			closeAll(all)
			return nil, err
		}
		same, err := net.FileListener(f)
		f.Close()
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, same)
	}
	return all, nil
}

// reload makes a page of the file as it is now. waiting are the changed keys that need a restart: all pages share what
// these have opened.
func (w *site) reload(was *config.Config) (p *page, waiting []string, err error) {
	next, err := config.Load(w.file)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range []struct {
		name      string
		now, kept any // pointers to its value
	}{
		{"web.listen", &next.Web.Listen, &was.Web.Listen}, {"redis", &next.Redis, &was.Redis},
		{"seal", &next.Seal, &was.Seal}, {"secret_file", &next.SecretFile, &was.SecretFile}, {"log", &next.Log, &was.Log},
	} {
		if now, kept := reflect.ValueOf(k.now).Elem(), reflect.ValueOf(k.kept).Elem(); !reflect.DeepEqual(
			now.Interface(), kept.Interface()) {
			waiting = append(waiting, k.name)
			now.Set(kept)
		}
	}
	keys, err := wiring.SealKeys(next.Seal.KeyFile)
	if err != nil {
		return nil, nil, err
	}
	if p, err = w.newPage(next); err != nil {
		return nil, nil, err
	}
	return p, waiting, w.store.UseKeys(keys)
}

package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Serve answers /metrics, /livez and /readyz until ctx ends, and returns when nothing asks the store any more. alive
// says whether releases go on.
func Serve(ctx context.Context, l net.Listener, m *Metrics, store Store, alive func() bool) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, alive(), "releases go on", "the release loop stands still: restart the daemon, and report it")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := ready(r.Context(), &looks, m, store)
		answer(w, err == nil, strings.TrimSpace("mail can be held\n"+m.restart()), fmt.Sprint("mail can't be held: ", err))
	})
	server := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// readyTime is how long the store may take: an answer within a second tells that it is away or hangs.
const readyTime = 900 * time.Millisecond

// ready asks the store anew each time. It answers in time also when the store hangs; looks waits for that.
func ready(ctx context.Context, looks *sync.WaitGroup, m *Metrics, store Store) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	found := make(chan error, 1)
	looks.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				m.Panicked("a look at the store", v, debug.Stack())
				found <- holdstore.ErrDefect
			}
		}()
		err := store.Writable(ctx)
		if err == nil {
			err = store.Ready(ctx)
		}
		found <- err
	})
	select {
	case err := <-found:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the hold store has not answered for %v", readyTime)
	}
}

func answer(w http.ResponseWriter, good bool, yes, no string) {
	if !good {
		http.Error(w, no, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, yes)
}

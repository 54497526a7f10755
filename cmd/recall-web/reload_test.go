package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/test/server"
)

// serving runs recall-web with a config file; stop ends it.
func serving(t *testing.T, file string) (w *site, log *server.Output, stop func()) {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	log = &server.Output{}
	if w, err = newSite(c, file, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.serve(ctx) }()
	return w, log, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ends with %v", err)
		}
	}
}

// A config that was changed is in force after SIGHUP, a wrong one changes nothing, and what needs a restart is named.
func TestTheConfigIsReadAgainAtSIGHUP(t *testing.T) {
	t.Parallel()
	redis, address := server.StartRedis(t), server.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "recall-milter.toml")
	write := func(more string) {
		t.Helper()
		text := fmt.Sprintf("[redis]\naddresses = [%q]\n[web]\nlisten = [%q]\nbase_url = \"http://%s\"\n%s", redis.Addr,
			address, address, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[web.sign_in]\nheader = \"Remote-User\"\n")
	w, log, stop := serving(t, file)
	operators := func() int {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/operator/health", nil)
		r.Header.Set("Remote-User", "boss")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	server.Eventually(t, "the page answers", func() bool { return operators() == 403 })
	again := func(more, says string) {
		t.Helper()
		write(more)
		w.hangup <- syscall.SIGHUP
		server.Eventually(t, "the log says "+says, func() bool { return log.Has(says) })
	}
	again("session = \"soon\"\n", "reload refused, the old config stays in force: config="+file+",")
	if code := operators(); code != 403 {
		t.Errorf("after a wrong config: %d", code)
	}
	again("operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n", "reloaded")
	server.Eventually(t, "the operator is one", func() bool { return operators() == 200 })
	again("operators = [\"boss\"]\n[web.sign_in]\nheader = \"Remote-User\"\n[log]\nlevel = \"debug\"\n",
		"needs-restart=log")
	stop()
}

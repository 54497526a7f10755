package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// The bar of a long recall is drawn on a terminal, and is gone before anything else is written there: at the end, and
// at Ctrl-C.
func TestTheBarIsGoneBeforeAnythingElseIsSaid(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"the end", "Ctrl-C"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			redis, proxy := server.StartRedis(t), server.StartProxy(t)
			proxy.To(redis.Addr)
			conf := filepath.Join(t.TempDir(), "c.toml")
			if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", proxy.Addr), 0o600); err != nil {
				t.Fatal(err)
			}
			holdMany(t, redis.Addr, 600)
			var batches atomic.Int32
			goOn := make(chan struct{})
			proxy.Watched(func(_ int, toServer bool, piece []byte) bool {
				if toServer && bytes.Contains(piece, []byte(`"recalled"`)) {
					if batches.Add(1) > 1 {
						<-goOn
					} else { // the bar begins when it takes longer than a moment
						began := time.Now()
						server.Eventually(t, "it takes long", func() bool { return time.Since(began) > 500*time.Millisecond })
					}
				}
				return true
			})
			var screen server.Output
			c := exec.Command("script", "-qefc", "recallctl -c "+conf+" recall --all --yes", "/dev/null")
			c.Stdout, c.Stderr = &screen, &screen
			keys, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			server.Eventually(t, "a bar is drawn",
				func() bool { return screen.Has("[=====                         ] 100 of 600") })
			said := `recalled 600 messages`
			if end == "Ctrl-C" {
				keys.Write([]byte{3})
				server.Eventually(t, "the terminal shows it", func() bool { return screen.Has("^C") })
				// On a machine under load it may have done the rest before it hears of it.
				said = `(recallctl: [1-5]00 of 600 messages recalled, then: interrupted; the same command goes on with the rest|` +
					said + `)`
			}
			close(goOn)
			err = c.Wait()
			text, interrupted := screen.String(), screen.Has("interrupted")
			if code := c.ProcessState.ExitCode(); end == "the end" && code != 0 || interrupted && code != 130 {
				t.Errorf("exit %d: %v", code, err)
			}
			if !regexp.MustCompile(`^(\r\[=* *\] \d+ of 600|\r\x1b\[K|\^C)+\r\x1b\[K` + said + `\r\n$`).MatchString(text) {
				t.Errorf("the terminal shows %q", text)
			}
		})
	}
}

func holdMany(t *testing.T, addr string, n int) {
	t.Helper()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server.Eventually(t, "redis has the script, which comes again otherwise", func() bool {
		_, err := store.Recall(t.Context(), "2222222222222", holdstore.Actor{})
		return errors.Is(err, holdstore.ErrNotFound)
	})
	for i := range n {
		server.Eventually(t, "it is held", func() bool {
			p := store.Put(holdstore.Submission{MessageID: fmt.Sprintf("<%d@mid.test>", i),
				Recipients: []holdstore.Path{{Address: "b@x.test"}}}, fmt.Appendf(nil, "Subject: %d\r\n", i))
			_, err := p.Commit(t.Context(), holdstore.Terms{Grace: time.Hour})
			return err == nil
		})
	}
}

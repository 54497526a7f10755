package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// A Redis that hangs is told of in twice the time that one look at it takes, with what to do, by every verb that needs
// the store.
func TestARedisThatHangsIsToldOfSoon(t *testing.T) {
	redis := server.StartRedis(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	redis.Pause()
	defer redis.Resume()
	var look time.Duration
	took := map[string]time.Duration{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() { // on a busy machine, this takes longer as well
		began := time.Now()
		if store.Ready(t.Context()) == nil {
			t.Error("a Redis that hangs is ready")
		}
		look = time.Since(began)
	})
	for _, verb := range []string{"list", "list --count", "show 7K3MPQ2A9BCDE", "recall 7K3MPQ2A9BCDE",
		"recall --sender a@corp.test --yes", "recall --only b@x.test 7K3MPQ2A9BCDE", "release --all --yes",
		"release --all --yes --via sendmail", "extend 7K3MPQ2A9BCDE --for 1h", "restore 7K3MPQ2A9BCDE", "pause", "resume",
		"drain --yes", "export --all " + dir, "export 7K3MPQ2A9BCDE", "log", "stats", "key status", "fsck", "fsck --repair",
		"watch --json"} {
		wg.Go(func() {
			var out, words bytes.Buffer
			began := time.Now()
			code := run(t.Context(), append([]string{"-c", conf}, strings.Fields(verb)...), strings.NewReader(""), &out, &words)
			mu.Lock()
			took[verb] = time.Since(began)
			mu.Unlock()
			if code != exitStore || !strings.Contains(words.String(), redis.Addr) ||
				!strings.Contains(words.String(), "restart it if it hangs") {
				t.Errorf("%s: exit %d: %s%s", verb, code, out.String(), words.String())
			}
		})
	}
	wg.Wait()
	for verb, took := range took {
		if took > 2*look {
			t.Errorf("%s took %v, and one look %v", verb, took, look)
		}
	}
}

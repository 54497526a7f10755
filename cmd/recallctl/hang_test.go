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

	"github.com/recall-milter/recall-milter/test/server"
)

// A Redis that hangs is told of within a few seconds, with what to do, by every verb that needs the store.
func TestARedisThatHangsIsToldOfSoon(t *testing.T) {
	redis := server.StartRedis(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	redis.Pause()
	defer redis.Resume()
	const most = 6 * time.Second // twice what a connection may take
	var wg sync.WaitGroup
	for _, verb := range []string{"list", "list --count", "show 7K3MPQ2A9BCDE", "recall 7K3MPQ2A9BCDE",
		"recall --sender a@corp.test --yes", "recall --only b@x.test 7K3MPQ2A9BCDE", "release --all --yes",
		"release --all --yes --via sendmail", "extend 7K3MPQ2A9BCDE --for 1h", "restore 7K3MPQ2A9BCDE", "pause", "resume",
		"drain --yes", "export --all " + dir, "export 7K3MPQ2A9BCDE", "log", "stats", "key status", "fsck", "fsck --repair",
		"watch --json"} {
		wg.Go(func() {
			var out, words bytes.Buffer
			began := time.Now()
			code := run(t.Context(), append([]string{"-c", conf}, strings.Fields(verb)...), strings.NewReader(""), &out, &words)
			if took := time.Since(began); took > most || code != exitStore ||
				!strings.Contains(words.String(), redis.Addr) || !strings.Contains(words.String(), "restart it if it hangs") {
				t.Errorf("%s: exit %d after %v: %s%s", verb, code, took, out.String(), words.String())
			}
		})
	}
	wg.Wait()
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/test/server"
)

// A page that begins while Redis is away says so once, is there as soon as Redis is, and says that as well.
func TestTheLogOfThePageSaysThatRedisIsBack(t *testing.T) {
	t.Parallel()
	redis, address := server.StartRedis(t), server.FreeAddr(t)
	redis.Kill()
	file := filepath.Join(t.TempDir(), "recall-milter.toml")
	text := fmt.Sprintf("[redis]\naddresses = [%q]\n[web]\nlisten = [%q]\nbase_url = \"http://%s\"\n", redis.Addr,
		address, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	w, err := newSite(c, file, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.serve(ctx) }()
	server.Eventually(t, "the log says that it waits", func() bool { return log.has("waiting for Redis") })
	if log.has("Redis answers") || log.has("start:") {
		t.Error("it says that it is there while Redis is away")
	}
	redis.Start()
	server.Eventually(t, "the log says that Redis is back", func() bool {
		return log.has("Redis answers, and the page is there, after ") && log.has("listen="+address)
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
	_, log, stop := serving(t, file)
	server.Eventually(t, "the log says that it waits", func() bool { return log.has("waiting for Redis") })
	if log.has("Redis answers") || log.has("start:") {
		t.Error("it says that it is there while Redis is away")
	}
	redis.Start()
	server.Eventually(t, "the log says that Redis is back", func() bool {
		return log.has("Redis answers, and the page is there, after ") && log.has("listen="+address)
	})
	stop()
}

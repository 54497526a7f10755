package main

import (
	"fmt"
	"net/http"
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
	server.Eventually(t, "the log says that it waits", func() bool { return log.Has("waiting for Redis") })
	if log.Has("Redis answers") || log.Has("start:") {
		t.Error("it says that it is there while Redis is away")
	}
	redis.Start()
	server.Eventually(t, "the log says that Redis is back", func() bool {
		return log.Has("Redis answers, and the page is there, after ") && log.Has("listen="+address)
	})
	redis.Kill()
	for range 3 {
		if code := askedWithAToken(t, "http://"+address+"/api/v1/me"); code != http.StatusServiceUnavailable {
			t.Errorf("Redis is away: %d", code)
		}
	}
	redis.Start()
	const back = "the store answers the page again, after "
	server.Eventually(t, "the log says that Redis is back, although nobody asks", func() bool { return log.Has(back) })
	if n := log.Count("can't answer while the store is away"); n != 1 {
		t.Errorf("%d lines say that Redis is away:\n%s", n, log)
	}
	stop()
}

// askedWithAToken returns the status of an answer of the API, which looks the token up.
func askedWithAToken(t *testing.T, address string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer rmt_unknown")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

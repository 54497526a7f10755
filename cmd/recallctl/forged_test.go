package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/test/server"
)

// Whoever writes to Redis steers no terminal with what recallctl shows of it, and the administrator hears that nothing
// proves a record.
func TestWhatSomebodyWroteIntoTheStoreIsShownHarmlessly(t *testing.T) {
	redis, dir := server.StartRedis(t), t.TempDir()
	keyFile, plain, sealed := filepath.Join(dir, "keys"), filepath.Join(dir, "plain.toml"), filepath.Join(dir,
		"sealed.toml")
	says := func(args ...string) string {
		var out bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &out, &out)
		return fmt.Sprintf("%s(%d)", out.String(), code)
	}
	says("key", "new", keyFile)
	for file, more := range map[string]string{plain: "", sealed: fmt.Sprintf("[seal]\nkey_file = %q\n", keyFile)} {
		text := fmt.Appendf(nil, "%s[redis]\naddresses = [%q]\n", more, redis.Addr)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := wiring.SealKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict", SealKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := store.Put(holdstore.Submission{Login: "anna", Recipients: []holdstore.Path{{Address: "b@x.test"}}},
		[]byte("Subject: x\r\n")).Commit(t.Context(), holdstore.Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Fields(redis.Do("KEYS *:h:" + r.ID))
	key := found[len(found)-1]
	redis.Do(`HSET ` + key + ` r0 "{\"o\":\"sent\x1b[2J\",\"d\":\"\xe2\x80\xae\x1b]0;x\x07\"}"`)
	redis.Do(`HSET ` + key + ` tl "1 {\"verb\":\"\xc2\x9b2J\",\"by\":\"\x1b[2J\",\"detail\":\"\x7f\"}\n"`)
	odd := `\x1b[2J` // an ID that is none
	redis.Do(`COPY ` + key + ` "` + strings.TrimSuffix(key, r.ID) + odd + `"`)
	redis.Do(`ZADD ` + strings.TrimSuffix(key, "h:"+r.ID) + `z:held 1 "` + odd + `"`)
	for _, conf := range []string{plain, sealed} {
		for _, args := range [][]string{{"show", r.ID}, {"list"}, {"list", "-q"}, {"list", "--json"},
			{"show", "--json", r.ID}, {"list", "--state", "all"}, {"__complete", "show", ""}} {
			text := says(append([]string{"-c", conf}, args...)...)
			if strings.ContainsAny(text, "\x1b\x07\x7f\u009b\u202e") {
				t.Errorf("%s with %s: %q", args, filepath.Base(conf), text)
			}
		}
	}
	redis.Do(`EVAL "return redis.call('HSET',KEYS[1],'p',` +
		`(string.gsub(redis.call('HGET',KEYS[1],'p'),'\\n[^\\n]*$','')))" 1 ` +
		key)
	for args, want := range map[string]string{"show " + r.ID: "nothing of this is proven",
		"list": "nothing proves the records of"} {
		if text := says(append([]string{"-c", sealed}, strings.Fields(args)...)...); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", args, want, text)
		}
	}
}

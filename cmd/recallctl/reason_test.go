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
	"github.com/recall-milter/recall-milter/test/server"
)

func TestShowSaysWhyAMessageWaits(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
[redis]
addresses = [%q]
[recall]
languages = { "corp.de" = "de" }
[[hold.rule]]
name = "new"
reason = { en = "New here.", de = "Neu hier." }
`, redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for sender, want := range map[string]string{"anna@corp.de": "Neu hier.", "bert@corp.test": "New here."} {
		p := store.Put(holdstore.Submission{Sender: holdstore.Path{Address: sender},
			Recipients: []holdstore.Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
		c, err := p.Commit(t.Context(), holdstore.Terms{Grace: time.Hour, Rule: "new"})
		if err != nil {
			t.Fatal(err)
		}
		for flag, line := range map[string]string{"--json=false": "\nReason      " + want + "\n",
			"--json": `"reason":"` + want + `"`} {
			var out, words bytes.Buffer
			if code := run(t.Context(), []string{"-c", conf, flag, "show", c.ID}, strings.NewReader(""), &out,
				&words); code != 0 || !strings.Contains(out.String(), line) {
				t.Errorf("%s %s: %d\n%s%s", sender, flag, code, out.String(), words.String())
			}
		}
	}
}

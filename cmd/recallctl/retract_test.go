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
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/test/server"
)

// Whoever undoes a claw back at once has it stopped, although it has moved nothing yet.
func TestAnUndoStopsAClawBackThatHasMovedNothing(t *testing.T) {
	redis := server.StartRedis(t)
	conf := filepath.Join(t.TempDir(), "c.toml")
	settings := fmt.Sprintf("[redis]\naddresses = [%q]\ndurability = \"relaxed\"\n"+
		"[inbound.mailbox]\nbackend = \"imap\"\nimap = { address = \"127.0.0.1:1\", tls = \"none\", master_user = \"m\", "+
		"password_file = %q }\n", redis.Addr, conf)
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	id := store.NewClawID()
	boxes := []clawback.Mailbox{{Recipient: "anna@corp.test", MessageID: "<bait@evil.test>"}}
	if err := clawback.Start(t.Context(), store, id, clawback.Order{By: "test"}, boxes, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arg     string
		code    int
		says    string
		stopped bool
	}{
		{"--dry-run", exitNothing, "nothing was moved", false},
		{"", exitUsage, "this would stop claw back " + id, false},
		{"--yes", 0, "claw back " + id + " is stopped, and has moved nothing yet", true},
	} {
		var out, words bytes.Buffer
		args := strings.Fields("-c " + conf + " retract --undo " + id + " " + c.arg)
		code := run(t.Context(), args, strings.NewReader(""), &out, &words)
		head, err := store.ClawBack(t.Context(), id)
		if err != nil || code != c.code || !strings.Contains(words.String(), c.says) || head.Stopped != c.stopped {
			t.Errorf("%q: exit %d, %q, stopped %v, %v", c.arg, code, words.String(), head.Stopped, err)
		}
	}
}

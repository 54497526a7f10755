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

// A message that waits for a moment of the calendar says which, as the clock of hold.zone shows it.
func TestShowSaysTheMomentUntilWhichAMessageWaits(t *testing.T) {
	redis := server.StartRedis(t)
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n[hold]\nzone = \"Europe/Vienna\"\n"+
		"[[hold.rule]]\nname = \"closed\"\ngrace = \"until Mon 08:00\"\n", redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(vienna)
	days := (int(time.Monday) - int(now.Weekday()) + 7) % 7
	monday := time.Date(now.Year(), now.Month(), now.Day()+days, 8, 0, 0, 0, vienna)
	if !monday.After(now) {
		monday = monday.AddDate(0, 0, 7)
	}
	hold := func(fixed bool) string {
		// in the middle of its minute: the store has another clock, and takes some time
		sub := holdstore.Submission{QueueID: fmt.Sprint(fixed), Recipients: []holdstore.Path{{Address: "b@x.test"}}}
		r, err := store.Put(sub, fmt.Appendf(nil, "Subject: %v\r\n", fixed)).Commit(t.Context(),
			holdstore.Terms{Rule: "closed", Grace: time.Until(monday.Add(30 * time.Second)), Fixed: fixed})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	for fixed, want := range map[bool]string{true: "closed, until " + monday.Format("Mon 2006-01-02 15:04 MST") + "\n",
		false: "closed, grace "} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"-c", conf, "show", hold(fixed)}, strings.NewReader(""), &stdout, &stderr)
		if code != 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("exit %d, without %q:\n%s%s", code, want, stdout.String(), stderr.String())
		}
	}
}

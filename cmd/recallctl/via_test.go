package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// What sendmail(1) has taken is written also when Redis was away at that moment: a daemon would send a second copy.
func TestWhatSendmailHasTakenIsWrittenWhenRedisIsBack(t *testing.T) {
	redis, dir := server.StartRedis(t), t.TempDir()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	sub := holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}
	r, err := store.Put(sub, []byte("Subject: x\r\n")).Commit(t.Context(), holdstore.Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn, program := filepath.Join(dir, "begun"), filepath.Join(dir, "on"), filepath.Join(dir, "sendmail")
	for _, pipe := range []string{begun, goOn} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\ncat >/dev/null\n: >'" + begun + "'\ncat '" + goOn + "'\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	screen := newScreen(io.Discard, io.Discard)
	a := &act{ctl: &ctl{store: store, screen: screen, syslog: filepath.Join(dir, "none")}, name: "release"}
	sent := make(chan error, 1)
	go func() { sent <- a.sendOne(t.Context(), program, r.ID, a.who()) }()
	if _, err := os.ReadFile(begun); err != nil { // waits for the program
		t.Fatal(err)
	}
	redis.Kill()
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	redis.Start()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if h, err := store.Get(t.Context(), r.ID); err != nil || h.State != holdstore.Released {
		t.Errorf("%+v, %v", h, err)
	}
}

// A daemon that was killed has a lease for a minute: what it had begun is not sent here, and exit code 0 would say that
// all is.
func TestWhatADaemonHasUnderWayIsNotCalledSent(t *testing.T) {
	redis, dir := server.StartRedis(t), t.TempDir()
	conf := filepath.Join(dir, "c.toml")
	for name, text := range map[string]string{conf: fmt.Sprintf("[redis]\naddresses = [%q]\n", redis.Addr),
		filepath.Join(dir, "sendmail"): "#!/bin/sh\ncat >/dev/null\n"} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for id, grace := range map[string]time.Duration{"<begun@mid.test>": 0, "<waits@mid.test>": time.Hour} {
		p := store.Put(holdstore.Submission{MessageID: id, Recipients: []holdstore.Path{{Address: "b@x.test"}}},
			[]byte("Message-ID: "+id+"\r\n"))
		if _, err := p.Commit(t.Context(), holdstore.Terms{Grace: grace}); err != nil {
			t.Fatal(err)
		}
	}
	claims, err := store.Claim(t.Context(), 9)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	for _, sent := range []string{"1 message sent by sendmail\n", ""} {
		var out, words bytes.Buffer
		code := run(t.Context(), []string{"-c", conf, "release", "--all", "--yes", "--via", "sendmail"},
			strings.NewReader(""), &out, &words)
		if code != exitTooLate ||
			!strings.HasPrefix(words.String(), sent+"recallctl: 1 message not sent here: a daemon is ") {
			t.Errorf("exit %d: %s", code, words.String())
		}
	}
	if err := store.GiveBack(t.Context(), claims[0]); err != nil {
		t.Fatal(err)
	}
	var out, words bytes.Buffer
	if code := run(t.Context(), []string{"-c", conf, "release", "--all", "--yes", "--via", "sendmail"},
		strings.NewReader(""), &out, &words); code != 0 {
		t.Errorf("exit %d: %s", code, words.String())
	}
}

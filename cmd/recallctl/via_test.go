package main

import (
	"io"
	"os"
	"path/filepath"
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

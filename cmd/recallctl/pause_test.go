package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// A pause changed something if the store says so: somebody can resume after recallctl has looked.
func TestAPauseAfterAResumeMeanwhileIsLogged(t *testing.T) {
	redis, proxy := server.StartRedis(t), server.StartProxy(t)
	proxy.To(redis.Addr)
	conf, socket, log := withSyslog(t, proxy.Addr)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Pause(t.Context(), holdstore.Actor{By: "alice", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	pause := func() string {
		var words bytes.Buffer
		(&ctl{stdin: strings.NewReader(""), screen: newScreen(&words, &words), syslog: socket}).run(t.Context(),
			[]string{"-c", conf, "pause"})
		return words.String()
	}
	if words := pause(); !strings.Contains(words, "paused already, since") {
		t.Errorf("paused already: %s", words)
	}
	var once sync.Once
	proxy.Watched(func(_ int, toServer bool, piece []byte) bool {
		if toServer && bytes.Contains(piece, []byte(" recallctl\r\n")) { // the pause says where it comes from
			once.Do(func() {
				if was, err := store.Resume(t.Context(), holdstore.Actor{By: "bert"}); !was || err != nil {
					t.Errorf("resumed: %v %v", was, err)
				}
			})
		}
		return true
	})
	if words := pause(); strings.Contains(words, "nothing was changed") {
		t.Errorf("resumed meanwhile: %s", words)
	}
	line := make([]byte, 8192)
	_ = log.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := log.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "NOQUEUE: pause: by=") {
		t.Errorf("the mail log: %v %q", err, line[:n])
	}
}

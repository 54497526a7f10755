package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestAnInterruptedActSaysHowFarItCame(t *testing.T) {
	var out, words bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	a := &act{ctl: &ctl{screen: newScreen(&out, &words), store: store}, name: "recall", action: store.Recalling}
	err = a.all(ctx, []string{"2222222222222", "3333333333333"})
	if err == nil || !strings.Contains(err.Error(), "0 of 2 messages recalled") ||
		strings.Contains(words.String(), "recalled 2") {
		t.Errorf("%v\n%s", err, words.String())
	}
}

// A stolen account: one command for more messages than anybody reads, which goes on after an interruption, and counts.
func TestManyAreRecalledByOneCommand(t *testing.T) {
	redis := server.StartRedis(t)
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const n = 750
	for i := range n {
		p := store.Put(holdstore.Submission{Login: "mallory", MessageID: fmt.Sprintf("<%d@mid.test>", i),
			Recipients: []holdstore.Path{{Address: "b@x.test"}}},
			[]byte(fmt.Sprintf("Subject: %d\r\n", i)))
		if _, err := p.Commit(t.Context(), holdstore.Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	ctl := func(args ...string) (code int, out, words string) {
		var stdout, stderr bytes.Buffer
		code = run(t.Context(), append([]string{"-c", conf}, args...), strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, out, words := ctl("list", "--limit", "7"); code != 0 || strings.Count(out, "\n") != 8 ||
		!strings.Contains(words, "and 743 more: --limit 0 shows all") {
		t.Errorf("list: %d\n%s%s", code, out, words)
	}
	if code, out, _ := ctl("--json", "list", "--login", "mallory"); code != 0 || strings.Count(out, "\n") != n {
		t.Errorf("list --json: %d, %d lines", code, strings.Count(out, "\n"))
	}
	ids, err := store.WaitingIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	told := 0
	err = store.Bulk(ctx, store.Recalling(), ids, holdstore.Actor{By: "mallory's admin"},
		func(some []holdstore.Acted) { told += len(some); interrupt() })
	if !errors.Is(err, context.Canceled) || told == n {
		t.Fatalf("%d were recalled, %v", told, err)
	}
	if code, out, words := ctl("recall", "--login", "mallory", "--yes", "--reason", "stolen"); code != 0 || out != "" ||
		words != fmt.Sprintf("recalled %d messages\n", n-told) {
		t.Errorf("recall: %d\n%s%s", code, out, words)
	}
	if code, out, _ := ctl("--json", "log"); code != 0 || strings.Count(out, "\n") != n {
		t.Errorf("the trail has %d lines of %d", strings.Count(out, "\n"), n)
	}
	all := strings.Join(append(ids, "2222222222222"), "\n")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-c", conf, "restore", "-"}, strings.NewReader(all), &stdout,
		&stderr); code != 1 || !strings.Contains(stderr.String(), "2222222222222") {
		t.Errorf("restore of one that is not here: %d %s", code, stderr.String())
	}
	if code := run(t.Context(), []string{"-c", conf, "restore", "-"}, strings.NewReader(strings.Join(ids, " ")), &stdout,
		&stderr); code != 0 {
		t.Errorf("restore: %d %s", code, stderr.String())
	}
	if _, err := store.Release(t.Context(), ids[3], holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Claim(t.Context(), 1); err != nil || len(c) != 1 {
		t.Fatal(c, err)
	}
	if _, err := store.Recall(t.Context(), ids[4], holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	code := run(t.Context(), []string{"-c", conf, "recall", "-"}, strings.NewReader(strings.Join(ids, " ")), &stdout,
		&stderr)
	want := "1 of 750 messages could not be recalled in full: 748 recalled, 1 recalled already, 1 too late"
	if code != 2 || !strings.Contains(stderr.String(), want) {
		t.Errorf("recall by REF: %d %s", code, stderr.String())
	}
	if _, err := store.Restore(t.Context(), ids[5], holdstore.Actor{Operator: true}); err != nil {
		t.Fatal(err)
	}
	if code, _, words := ctl("recall", "--login", "mallory", "--yes"); code != 0 || !strings.HasPrefix(words,
		"1 message that matches is on its way, and was not recalled: ") || !strings.HasSuffix(words,
		" list --state releasing --login mallory\n") {
		t.Errorf("recall while one is on its way: %d %s", code, words)
	}
}

// Redis dies after it has said "too late", and before the gateways of the recipients are asked: that is not the end of
// the matter, and the same command goes on.
func TestARecallWhoseGatewaysCouldNotBeAskedIsRepeated(t *testing.T) {
	redis, proxy := server.StartRedis(t), server.StartProxy(t)
	proxy.To(redis.Addr)
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", proxy.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var ids []string
	for n := range 2 {
		server.Eventually(t, "it is held", func() bool {
			p := store.Put(holdstore.Submission{MessageID: fmt.Sprintf("<%d@mid.test>", n),
				Sender:     holdstore.Path{Address: "anna@corp.test"},
				Recipients: []holdstore.Path{{Address: "b@x.test"}}}, fmt.Appendf(nil, "Subject: %d\r\n", n))
			receipt, err := p.Commit(t.Context(), holdstore.Terms{})
			ids = append(ids[:n], receipt.ID)
			return err == nil
		})
	}
	released := 0
	server.Eventually(t, "both are released", func() bool {
		claims, _ := store.Claim(t.Context(), 2)
		for _, c := range claims {
			if err := store.Settle(t.Context(), c,
				holdstore.Settlement{Results: map[int]holdstore.Result{0: {Outcome: holdstore.Sent}}}); err != nil {
				t.Fatal(err)
			}
			released++
		}
		return released == 2
	})
	recall := func(until string) (code int, words string) { // a machine under load may refuse more
		server.Eventually(t, "it says "+until, func() bool {
			var stdout, stderr bytes.Buffer
			code = run(t.Context(), append([]string{"-c", conf, "recall"}, ids...), strings.NewReader(""), &stdout, &stderr)
			words = stderr.String()
			return strings.Contains(words, until)
		})
		return code, words
	}
	proxy.Watched(func(_ int, toServer bool, piece []byte) bool {
		return !toServer || !bytes.Contains(piece, []byte(`"asked"`))
	})
	code, words := recall("too late")
	for _, want := range []string{"not recalled", "could not be asked: ", "were not asked",
		"too late for 2 of 2 messages, and the gateways"} {
		if code != exitStore || !strings.Contains(words, want) {
			t.Errorf("exit %d, without %q:\n%s", code, want, words)
		}
	}
	proxy.Watched(nil)
	if code, words = recall("asked to take it back"); code != exitTooLate ||
		strings.Count(words, "asked to take it back: x.test") != 2 {
		t.Errorf("again: exit %d:\n%s", code, words)
	}
}

// A recall of which some came too late is not at its end when a part of the store was not seen.
func TestWhatWasNotSeenCountsMoreThanWhatWasTooLate(t *testing.T) {
	away := fmt.Errorf("%w: %w", holdstore.ErrPartial, holdstore.ErrUnavailable)
	for _, c := range []struct {
		err    error
		unseen bool
		code   int
		words  string
	}{
		{nil, false, 0, ""}, {nil, true, exitStore, "part of the store"},
		{&exit{exitTooLate, "1 too late"}, false, exitTooLate, "1 too late"},
		{&exit{exitTooLate, "1 too late"}, true, exitStore, "1 too late; there may be more: part of the store"},
		{&exit{exitNothing, "nothing"}, true, exitStore, "nothing; there may be more"},
		{usage("say --yes"), true, exitUsage, "say --yes"},
	} {
		u := &ctl{}
		if c.unseen {
			u.part(away)
		}
		err := u.outcome(c.err)
		if code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, unseen %v: exit %d, %v", c.err, c.unseen, code(err), err)
		}
	}
}

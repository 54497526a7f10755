package recall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// lookalike is a file of testdata/ordinary; its README says what they are.
func lookalike(t *testing.T, file string) letterOf {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	sender, ok := strings.CutPrefix(head, "Return-Path: <")
	if !ok {
		t.Fatalf("%s does not begin with Return-Path", file)
	}
	return letterOf{login: "anna", from: strings.TrimSuffix(sender, ">"), client: "192.0.2.1", to: []string{"b@x.test"},
		text: strings.ReplaceAll(rest, "\n", "\r\n"), grace: time.Hour, rule: "default"}
}

func TestWhatOnlyLooksLikeARecallIsOrdinaryMail(t *testing.T) {
	files, err := filepath.Glob("testdata/ordinary/*.eml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	o := newOffice(t)
	held := o.mustSubmit(mailBy("anna", "Subject: the price list\r\nDate: Tue, 24 Nov 2026 09:00:00 "+
		"+0000\r\nMessage-ID: <held@corp.test>\r\n\r\nbody\r\n", "b@x.test"))
	for _, file := range files {
		passed := o.mustSubmit(lookalike(t, file))
		if o.state(held) != holdstore.Held {
			t.Fatalf("%s has recalled a message", file)
		}
		if passed == "" {
			t.Errorf("%s was swallowed", file)
			continue
		}
		if _, err := o.store.Release(t.Context(), passed,
			holdstore.Actor{}); err != nil { // so that no message of anna's waits
			t.Errorf("%s: %v", file, err)
		}
	}
	o.post()
	for to, text := range o.reports {
		if strings.Contains(text, "Message recall <") {
			t.Errorf("ordinary mail was answered, for %s:\n%s", to, text)
		}
	}
	for _, line := range o.log {
		if !strings.Contains(line, " ignored ") {
			t.Errorf("taken for a command: %s", line)
		}
	}
}

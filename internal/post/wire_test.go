package post

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// Our own mails are UTF-8, so they say that they have 8-bit text, and no line of theirs is over 998 bytes (RFC 5321).
func TestOurMailsDeclare8BitAndHaveNoLongLines(t *testing.T) {
	t.Parallel()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	texts, err := ReadTexts("", "en")
	if err != nil {
		t.Fatal(err)
	}
	p := New(store, texts, "recall@corp.test")
	server.Eventually(t, "a mail is in the store", func() bool {
		return p.SignIn(t.Context(), "anna@corp.test", "https://x.test/"+strings.Repeat("ü", 2000), "gw.corp.test") == nil
	})
	found := 0
	for h, err := range store.Find(t.Context(), holdstore.Query{States: []holdstore.State{holdstore.Held}}) {
		if err != nil {
			t.Fatal(err)
		}
		found++
		text, err := io.ReadAll(store.Content(t.Context(), h))
		if err != nil || !slices.Contains(h.Sender.Args, "BODY=8BITMIME") {
			t.Errorf("it is sent with %q, %v", h.Sender.Args, err)
		}
		for line := range strings.Lines(string(text)) {
			if len(strings.TrimRight(line, "\r\n")) > 998 {
				t.Errorf("a line has %d bytes", len(line))
			}
		}
	}
	if found == 0 {
		t.Error("nothing was sent")
	}
}

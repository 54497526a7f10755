package web_test

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Anybody can send somebody an address of the page with an outcome in it. It is shown where it is true of the message
// as it is, and nowhere else.
func TestAnAddressSaysNothingThatIsNotTrue(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	g := h.guest("Remote-User", "anna")
	shows := func(state string, dids ...string) {
		t.Helper()
		for _, did := range strings.Fields("recalled partly too-late released extended restored asked nobody made-up") {
			_, page, _ := g.ask("GET", "/m/"+h.ids["of anna"]+"?did="+did, "")
			want := strings.Contains(strings.Join(dids, " "), did)
			if got := strings.Contains(page, `id="outcome"`); got != want {
				t.Errorf("%s: the outcome %q is shown: %v", state, did, got)
			}
		}
	}
	shows("held", "extended", "restored")
	if _, err := h.store.Recall(t.Context(), h.ids["of anna"], holdstore.Actor{By: "login anna"}); err != nil {
		t.Fatal(err)
	}
	shows("recalled", "recalled", "partly")
	if _, err := h.store.Restore(t.Context(), h.ids["of anna"], holdstore.Actor{By: "login anna"}); err != nil {
		t.Fatal(err)
	}
	h.leave(h.ids["of anna"])
	shows("released", "too-late", "released", "nobody")
}

// What is sent now while releases are paused waits, and its sender is not told that it leaves.
func TestAMessageThatIsSentDuringAPauseWaits(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	by := holdstore.Actor{By: "login anna"}
	if _, err := h.store.Pause(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Release(t.Context(), h.ids["of anna"], by); err != nil {
		t.Fatal(err)
	}
	for _, waits := range []bool{true, false} {
		_, page, _ := h.guest("Remote-User", "anna").ask("GET", "/m/"+h.ids["of anna"]+"?did=released", "")
		if !strings.Contains(page, `id="outcome"`) || strings.Contains(page, "All releases are paused") != waits {
			t.Errorf("with releases paused (%v):\n%s", waits, page)
		}
		if _, err := h.store.Resume(t.Context(), by); err != nil {
			t.Fatal(err)
		}
	}
}

// The answer of a gateway counts recipients. A sender reads in their list what became of each.
func TestASenderReadsOfAnswersInWords(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	id := h.answered("Hello")
	for login, detail := range map[string]bool{"anna": false, "boss": true} {
		_, page, _ := h.guest("Remote-User", login).ask("GET", "/m/"+id, "")
		if strings.Contains(page, "recipient 1:") != detail || !strings.Contains(page, "answer of a mail system") ||
			!strings.Contains(page, "was read already, and stays") {
			t.Errorf("the page of %s:\n%s", login, page)
		}
	}
}

package web_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/web"
)

// What the store can't do to one message is said of that message, and not taken for a store that is away.
func TestWhatCannotBeDoneToOneMessageIsNotAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	sealed, err := holdstore.Open(holdstore.Options{Addresses: []string{h.redis.Addr}, Durability: "relaxed",
		SealKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sealed.Close() })
	keyless := h.store
	h.store = sealed
	h.hold("sealed", "carl", "carl@corp.test", "default")
	h.store = keyless
	if _, err := sealed.Recall(t.Context(), h.ids["sealed"], holdstore.Actor{By: "login carl"}); err != nil {
		t.Fatal(err)
	}
	token := h.token("boss", web.ScopeAdmin)
	restore := func(id string, status int, kind, says string) {
		t.Helper()
		code, text, _ := h.guest("Authorization", "Bearer "+token).ask("POST", "/api/v1/holds/"+id+"/restore", "")
		if code != status || !strings.Contains(text, "/problems/"+kind+`"`) || !strings.Contains(text, says) {
			t.Errorf("%d %s", code, text)
		}
	}
	restore(h.ids["sealed"], http.StatusConflict, "not-now", "nothing was changed")
	if h.state("sealed") != holdstore.Recalled {
		t.Error("it waits again")
	}
	anna := h.ids["of anna"]
	h.redis.Do("HSET recall:{mh0}:h:" + anna + " p {")
	restore(anna, http.StatusInternalServerError, "damaged", "nothing was done")
	code, page, _ := h.guest("Remote-User", "boss").ask("GET", "/m/"+anna, "")
	if code != http.StatusInternalServerError || !strings.Contains(page, "can&#39;t read its record of this message") {
		t.Errorf("the page: %d\n%s", code, page)
	}
}

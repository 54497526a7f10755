package web_test

import (
	"net/http"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Where a rule forbids its senders to recall, they can't undo the recall of somebody else either.
func TestWhoMayNotRecallUndoesNoRecall(t *testing.T) {
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	id := h.ids["fixed"]
	if _, err := h.store.Recall(t.Context(), id, holdstore.Actor{By: "operator"}); err != nil {
		t.Fatal(err)
	}
	g := h.guest("Remote-User", "fixed")
	code, _, _ := g.ask("POST", "/m/"+id, "act=restore")
	if code != http.StatusSeeOther || h.state("fixed") != holdstore.Recalled {
		t.Errorf("undone: %d, it is %s", code, h.state("fixed"))
	}
}

package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// What an operator has stopped, its sender can't send.
func TestTheSenderUndoesNoRecallOfAnOperator(t *testing.T) {
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	id := h.ids["of anna"]
	for _, c := range []struct {
		by   string
		want holdstore.State
	}{{"operator", holdstore.Recalled}, {"login boss", holdstore.Recalled}, {"<anna@corp.test>", holdstore.Held},
		{"token mail for login anna", holdstore.Held}, {"the link of " + id, holdstore.Held}, {"login anna", holdstore.Held}} {
		if _, err := h.store.Recall(t.Context(), id, holdstore.Actor{By: c.by}); err != nil {
			t.Fatal(err)
		}
		g := h.guest("Remote-User", "anna")
		_, text, _ := g.ask("GET", "/m/"+id, "")
		if offered := strings.Contains(text, `value="restore"`); offered != (c.want == holdstore.Held) {
			t.Errorf("recalled by %s: undo is offered: %v", c.by, offered)
		}
		if g.ask("POST", "/m/"+id, "act=restore"); h.state("of anna") != c.want {
			t.Errorf("recalled by %s: it is %s", c.by, h.state("of anna"))
		}
		if c.want == holdstore.Recalled {
			if _, err := h.store.Restore(t.Context(), id, holdstore.Actor{By: c.by}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

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

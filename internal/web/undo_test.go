package web_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// What an operator has stopped, its sender can't send: also not when they have recalled it themselves, before or after.
func TestTheSenderUndoesNoRecallOfAnOperator(t *testing.T) {
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	id, ctx := h.ids["of anna"], t.Context()
	operator, anna := holdstore.Actor{By: "login boss", Operator: true}, holdstore.Actor{By: "login anna"}
	recall := func(by holdstore.Actor) {
		if _, err := h.store.Recall(ctx, id, by); err != nil && !errors.Is(err, holdstore.ErrNotNow) {
			t.Fatal(err)
		}
	}
	g := h.guest("Remote-User", "anna")
	for name, c := range map[string]struct {
		recalls []holdstore.Actor
		want    holdstore.State
	}{
		"the sender":         {[]holdstore.Actor{anna}, holdstore.Held},
		"a delegate":         {[]holdstore.Actor{{By: "login carol"}}, holdstore.Held},
		"an operator":        {[]holdstore.Actor{operator}, holdstore.Recalled},
		"an operator later":  {[]holdstore.Actor{anna, operator}, holdstore.Recalled},
		"an operator before": {[]holdstore.Actor{operator, anna}, holdstore.Recalled},
	} {
		for _, by := range c.recalls {
			recall(by)
		}
		_, text, _ := g.ask("GET", "/m/"+id, "")
		if offered := strings.Contains(text, `value="restore"`); offered != (c.want == holdstore.Held) {
			t.Errorf("%s: undo is offered: %v", name, offered)
		}
		if g.ask("POST", "/m/"+id, "act=restore"); h.state("of anna") != c.want {
			t.Errorf("%s: it is %s", name, h.state("of anna"))
		}
		if c.want == holdstore.Recalled {
			if _, err := h.store.Restore(ctx, id, operator); err != nil {
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

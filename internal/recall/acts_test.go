package recall

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// due is when a hold leaves, from its beginning.
func (o *office) due(id string) time.Duration {
	o.t.Helper()
	h, err := o.store.Get(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return h.Due.Sub(h.HeldAt)
}

func TestASenderSendsNowWaitsLongerAndUndoesByMail(t *testing.T) {
	o := newOffice(t)
	id, _ := o.message("anna", "prices", "b@x.test")
	says := func(subject, want string) {
		t.Helper()
		if answer := o.command("anna", "Subject: "+subject+"\r\n", ""); !strings.Contains(answer, want) ||
			strings.Contains(answer, "message/recall-status") {
			t.Errorf("%s is answered\n%s", subject, answer)
		}
	}
	says("WAIT 10m "+id, "Subject: Waits longer: prices")
	if got := o.due(id); got != 70*time.Minute {
		t.Errorf("it leaves after %v", got)
	}
	says("WAIT 23h "+id, "a message can wait for 24h0m0s at most")
	says("WAIT 0m "+id, "the time after WAIT can't be read")
	says("RESTORE "+id, "Subject: Waits again: prices")
	o.command("anna", "Subject: RECALL "+id+"\r\n", "")
	says("WAIT 10m "+id, "recalled, nothing was sent")
	says("SEND NOW "+id, "Subject: Not done: prices")
	if got := o.state(id); got != holdstore.Recalled {
		t.Errorf("it is %s", got)
	}
	says("RESTORE "+id, "Subject: Waits again: prices")
	if got := o.due(id); o.state(id) != holdstore.Held || got < time.Hour {
		t.Errorf("it is %s, for %v", o.state(id), got)
	}
	says("SEND NOW "+id, "Subject: Sent now: prices")
	o.post()
	if got := o.state(id); got != holdstore.Released {
		t.Errorf("it is %s", got)
	}
	says("SEND NOW "+id, "Subject: Sent now: prices")
	says("RESTORE "+id, "Subject: Not done: prices")
	says("WAIT 10m "+id, "Subject: Not done: prices")
	says("SEND NOW <nobody@x.test>", "no such message")
}

// Whoever may not take a message back may not act on it in any other way, and the answer says nothing of it.
func TestOtherCommandsNeedTheAuthorityOfARecall(t *testing.T) {
	o := newOffice(t)
	o.rules["fixed"] = policy.Rule{Name: "fixed", NoRecall: true}
	o.rules["board"] = policy.Rule{Name: "board", Delegates: patterns(t, "bert")}
	of := map[string]string{}
	for _, rule := range []string{"default", "fixed", "board"} {
		l := mailBy("anna", "Subject: prices\r\nMessage-ID: <"+rule+"@corp.test>\r\n\r\nbody\r\n", "b@x.test")
		l.rule = rule
		of[rule] = o.mustSubmit(l)
		o.tick()
	}
	for _, verb := range []string{"WAIT 10m", "SEND NOW", "RESTORE"} {
		for _, e := range []struct{ who, rule string }{{"bert", "default"}, {"bert", "fixed"}, {"anna", "fixed"}} {
			answer := o.command(e.who, "Subject: "+verb+" "+of[e.rule]+"\r\n", "")
			if h, _ := o.store.Get(t.Context(), of[e.rule]); h.State != holdstore.Held || h.Due.Sub(h.HeldAt) != time.Hour ||
				len(h.Timeline) != 1 || !strings.Contains(answer, "Subject: Refused") || strings.Contains(answer, "prices") {
				t.Errorf("%s by %v: %s, %v\n%s", verb, e, h.State, h.Timeline, answer)
			}
		}
		if answer := o.command("bert", "Subject: "+verb+" LAST\r\n", ""); !strings.Contains(answer, "no such message") {
			t.Errorf("%s LAST by bert\n%s", verb, answer)
		}
		if answer := o.command("bert", "Subject: "+verb+" "+of["board"]+"\r\n", ""); strings.Contains(answer, "Refused") {
			t.Errorf("%s by the delegate\n%s", verb, answer)
		}
	}
}

// What an operator has recalled, its sender does not restore by mail either.
func TestARecallOfAnOperatorIsNotUndoneByMail(t *testing.T) {
	o := newOffice(t)
	id, _ := o.message("anna", "prices", "b@x.test")
	if _, err := o.store.Recall(t.Context(), id, holdstore.Actor{By: "root", Operator: true}); err != nil {
		t.Fatal(err)
	}
	answer := o.command("anna", "Subject: RESTORE "+id+"\r\n", "")
	if o.state(id) != holdstore.Recalled || !strings.Contains(answer, "only an operator can undo that") {
		t.Errorf("it is %s\n%s", o.state(id), answer)
	}
}

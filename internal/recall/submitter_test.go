package recall

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// relayed is mail without a login.
func relayed(client, from, text string, to ...string) letterOf {
	return letterOf{from: from, client: client, to: to, text: text, grace: time.Hour, rule: "default"}
}

// Unicode folds "ſ" onto "s" and the Kelvin sign onto "k": a person of such a name is somebody else.
func TestNobodyRecallsMailOfSomebodyWhoseNameLooksLikeTheirs(t *testing.T) {
	o := newOffice(t)
	id := o.mustSubmit(relayed("10.0.0.1", "boss@corp.test", "Subject: x\r\nMessage-ID: <r@corp.test>\r\n\r\n",
		"b@x.test"))
	mine := o.mustSubmit(mailBy("kim", "Subject: x\r\nMessage-ID: <k@corp.test>\r\n\r\n", "b@x.test"))
	for n, subject := range []string{"RECALL <r@corp.test>", "RECALL LAST", "RECALL <k@corp.test>"} {
		command := fmt.Sprintf("Subject: %s\r\nMessage-ID: <c%d@corp.test>\r\n\r\n", subject, n)
		o.mustSubmit(relayed("10.0.0.1", "bo\u017f\u017f@corp.test", command, desk))
		o.mustSubmit(mailBy("\u212aim", command, desk))
		if o.state(id) != holdstore.Held || o.state(mine) != holdstore.Held {
			t.Fatalf("%s: somebody else's mail was recalled", subject)
		}
	}
	o.mustSubmit(relayed("10.0.0.1", "Boss@CORP.test", "Subject: RECALL <r@corp.test>\r\n\r\n", desk))
	o.mustSubmit(mailBy("KIM", "Subject: RECALL <k@corp.test>\r\n\r\n", desk))
	if o.state(id) != holdstore.Recalled || o.state(mine) != holdstore.Recalled {
		t.Error("the case of letters made another sender of the same")
	}
}

// Where nobody has a login, a refusal does not speak of one that asks: it says how the gateway tells senders apart.
func TestARefusalSaysWhatIsTrueWithoutALogin(t *testing.T) {
	o := newOffice(t)
	id := o.mustSubmit(relayed("10.0.0.1", "anna@corp.test", "Subject: x\r\nMessage-ID: <1@corp.test>\r\n\r\n",
		"b@x.test"))
	for name, l := range map[string]letterOf{"another address": relayed("10.0.0.1", "bert@corp.test", "", desk),
		"another client": relayed("10.0.0.2", "anna@corp.test", "", desk)} {
		clear(o.reports)
		l.text = "Subject: RECALL <1@corp.test>\r\nMessage-ID: <c@x.test>\r\n\r\n"
		o.mustSubmit(l)
		o.post()
		const says = "without a login, only the address and the client that sent it can ask for it"
		if answer := strings.Join(strings.Fields(o.reports["<c@x.test>"]), " "); o.state(id) != holdstore.Held ||
			!strings.Contains(answer, says) {
			t.Errorf("%s: %s\n%s", name, o.state(id), answer)
		}
	}
}

// Whoever sends mail with somebody's Message-ID, queue ID or address hides nothing of theirs.
func TestOthersMailHidesNobodysOwn(t *testing.T) {
	o := newOffice(t)
	id := o.mustSubmit(relayed("10.0.0.1", "anna@corp.test", "Subject: x\r\nMessage-ID: <1@corp.test>\r\n\r\n",
		"b@x.test"))
	held := o.mustSubmit(mailBy("bert", "Subject: x\r\nMessage-ID: <2@corp.test>\r\n\r\n", "b@x.test"))
	for n := range latestLooked + 1 {
		// The same sender by another relay, and both Message-IDs.
		o.quickly(relayed("10.9.9.9", "anna@corp.test", fmt.Sprintf("Subject: x\r\nMessage-ID: <%d@corp.test>\r\n\r\n",
			1+n%2), "c@x.test"))
	}
	o.mustSubmit(relayed("10.0.0.1", "anna@corp.test", "Subject: RECALL LAST\r\n\r\n", desk))
	if o.state(id) != holdstore.Recalled {
		t.Error("LAST: one's own message was hidden by others with the same sender")
	}
	if answer := o.command("bert", "Subject: RECALL <2@corp.test>\r\n", ""); o.state(held) != holdstore.Recalled ||
		strings.Contains(answer, "refused") {
		t.Errorf("one's own message was hidden by others with its Message-ID:\n%s", answer)
	}
}

// quickly puts a message straight into the store.
func (o *office) quickly(l letterOf) string {
	o.t.Helper()
	head, body, _ := strings.Cut(l.text, "\r\n\r\n")
	m := arriving(l.text)
	sub := holdstore.Submission{Login: l.login, Sender: holdstore.Path{Address: l.from},
		Client:    holdstore.Client{Address: l.client},
		MessageID: m.Field("Message-ID"), Subject: m.Field("Subject"), QueueID: m.Field("X-Queue-ID"),
		Gateway: "gw.corp.test"}
	for _, to := range l.to {
		sub.Recipients = append(sub.Recipients, holdstore.Path{Address: to})
	}
	p := o.store.Put(sub, []byte(head+"\r\n"))
	if err := p.Write(o.t.Context(), []byte(body)); err != nil {
		o.t.Fatal(err)
	}
	r, err := p.Commit(o.t.Context(), holdstore.Terms{Rule: l.rule, Grace: l.grace})
	if err != nil {
		o.t.Fatal(err)
	}
	o.store.Confirm(r)
	return r.ID
}

func TestAQueueIDMeansNoMessageID(t *testing.T) {
	o := newOffice(t)
	anna := o.quickly(mailBy("anna", "Message-ID: <1@corp.test>\r\nX-Queue-ID: 4CJD1X3XKZ9\r\n\r\n", "b@x.test"))
	o.quickly(mailBy("bert", "Message-ID: 4CJD1X3XKZ9\r\n\r\n", "b@x.test"))
	later := o.quickly(mailBy("bert", "Message-ID: <2@corp.test>\r\nX-Queue-ID: 4CJD1X3XKZ9\r\n\r\n", "b@x.test"))
	if found, err := o.store.Resolve(t.Context(), "4CJD1X3XKZ9"); err != nil || len(found) != 2 {
		t.Errorf("%d holds have the queue ID, %v", len(found), err)
	}
	// The MTA has used it again, for somebody else.
	if answer := o.command("anna", "Subject: RECALL 4CJD1X3XKZ9\r\n", ""); o.state(anna) != holdstore.Recalled {
		t.Errorf("one's own message was hidden by its queue ID:\n%s", answer)
	}
	if o.state(later) != holdstore.Held {
		t.Error("somebody else's was recalled")
	}
}

// A list of delegates that says only who is none gives nobody a right.
func TestDelegatesThatOnlyExcludeAreNobody(t *testing.T) {
	o := newOffice(t)
	for n, delegates := range []policy.Patterns{patterns(t, "!intern"), patterns(t, "*", "!bert"), nil} {
		o.rules["executives"] = policy.Rule{Name: "executives", Delegates: delegates}
		l := mailBy("ceo", fmt.Sprintf("Subject: plans\r\nMessage-ID: <%d@corp.test>\r\n\r\n", n), "b@x.test")
		l.rule = "executives"
		id := o.mustSubmit(l)
		o.command("bert", fmt.Sprintf("Subject: RECALL <%d@corp.test>\r\n", n), "")
		if o.state(id) != holdstore.Held {
			t.Errorf("list %d: somebody is a delegate whom no pattern names", n)
		}
	}
}

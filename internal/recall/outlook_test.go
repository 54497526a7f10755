package recall

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// writes submits an original with the subject, as Outlook would encode it.
func (o *office) writes(login string, r outlook.Recall, to ...string) string {
	o.t.Helper()
	return o.mustSubmit(mailBy(login,
		"Subject: "+r.SubjectField()+"\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <"+
			time.Now().Format("150405.000000000")+"@corp.test>\r\n\r\nbody\r\n", to...))
}

// forms are the two ways in which Outlook's recall leaves.
func forms(r outlook.Recall) map[string]string {
	return map[string]string{"A": r.FormA(), "B": r.FormB()}
}

func TestOutlooksRecallTakesTheMessageBack(t *testing.T) {
	o := newOffice(t)
	for _, r := range []outlook.Recall{
		{Subject: "the price list", Prefix: "Recall:"},
		{Subject: "Preise für Ärzte", Prefix: "Recall:"},
		{Subject: "价格表", Prefix: "撤回:", Charset: "gb2312"},
		{Subject: "價格表", Prefix: "回收:", Charset: "big5"},
		{Subject: "가격표", Prefix: "회수:", Charset: "ks_c_5601-1987"},
		{Subject: "価格表", Prefix: "Recall:", Charset: "iso-2022-jp"},
	} {
		r.From, r.To = "anna@corp.test", "b@x.test"
		unlisted := r // then only winmail.dat and Thread-Topic tell the subject
		unlisted.Prefix = "Terugroepen:"
		all := forms(r)
		all["A, unlisted"], all["B, unlisted"] = unlisted.FormA(), unlisted.FormB()
		for form, mail := range all {
			for _, before := range []string{"", "RE: ", "Fw: Re: "} {
				original := r
				original.Subject = before + r.Subject
				id := o.writes("anna", original, "b@x.test", "c@x.test")
				if held := o.mustSubmit(mailBy("anna", mail, "b@x.test", "c@x.test")); held != "" {
					t.Errorf("form %s of %q: the recall itself went on", form, original.Subject)
				}
				if o.state(id) != holdstore.Recalled {
					t.Errorf("form %s of %q (%s): it is %s", form, original.Subject, r.Charset, o.state(id))
				}
			}
		}
	}
	o.post()
	if answers := o.reports["anna@corp.test"]; strings.Count(answers, "Subject: Recalled: ")+strings.Count(answers,
		"Subject: =?utf-8?q?Recalled") != 72 {
		t.Errorf("not every recall was answered:\n%s", answers)
	}
}

func TestOutlooksRecallForSomeRecipients(t *testing.T) {
	o := newOffice(t)
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	for form, mail := range forms(r) {
		id := o.writes("anna", r, "b@x.test", "c@x.test")
		o.mustSubmit(mailBy("anna", mail, "B@X.test"))
		h, err := o.store.Get(t.Context(), id)
		if err != nil || h.State != holdstore.Held || h.Results[0].Outcome != holdstore.TakenBack ||
			h.Results[1].Outcome != holdstore.Pending {
			t.Errorf("form %s: %v %+v", form, err, h)
		}
		if _, err := o.store.Recall(t.Context(), id, holdstore.Actor{}); err != nil { // the next form needs one match
			t.Fatal(err)
		}
	}
}

func TestWhatIsNoRecallOfTheMessageGoesOn(t *testing.T) {
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	a := r.FormA()
	other := r
	other.Subject = "another list"
	for name, l := range map[string]letterOf{
		"another login":      mailBy("bert", a, "b@x.test"),
		"another subject":    mailBy("anna", other.FormA(), "b@x.test"),
		"one more recipient": mailBy("anna", a, "b@x.test", "d@x.test"),
		"a person's own words": mailBy("anna",
			"Subject: Recall: the price list\r\nMessage-ID: <p@corp.test>\r\n\r\nI would like to recall the message.\r\n",
			"b@x.test"),
		"only a phone number": mailBy("anna", "Subject: Recall: the price list\r\nX-CallingTelephoneNumber: 123\r\n\r\n",
			"b@x.test"),
		"another class": mailBy("anna", r.FormAWith([]byte(strings.Replace(string(outlook.Winmail([]byte(r.Subject),
			0)), "IPM.Outlook.Recall", "IPM.Outlook.Recbll", 1))), "b@x.test"),
		"a bomb": mailBy("anna", r.FormAWith(outlook.NewTNEF().Attribute(0x00069003, []byte{0xff, 0xff, 0xff,
			0xff}).Bytes()), "b@x.test"),
		"cut":         mailBy("anna", a[:len(a)/2], "b@x.test"),
		"from a list": mailBy("anna", "List-Id: <l.corp.test>\r\n"+a, "b@x.test"),
		"for another sender": {login: "anna", from: "shared@corp.test", client: "192.0.2.1", to: []string{"b@x.test"},
			text: a, grace: time.Hour},
		"forged sender": {login: "bert", from: "anna@corp.test", client: "192.0.2.1", to: []string{"b@x.test"},
			text: a, grace: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			id := o.writes("anna", r, "b@x.test", "c@x.test")
			passed := o.mustSubmit(l)
			if passed == "" || o.state(id) != holdstore.Held {
				t.Fatalf("it is %s, and the recall mail became %q", o.state(id), passed)
			}
			h, err := o.store.Get(t.Context(), passed)
			if err != nil || len(h.Recipients) != len(l.to) {
				t.Errorf("%v: recipients of the mail that goes on: %+v", err, h)
			}
		})
	}
}

func TestARecallThatFitsSeveralMessagesIsAnsweredAndGoesOn(t *testing.T) {
	o := newOffice(t)
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	one, two := o.writes("anna", r, "b@x.test"), o.writes("anna", r, "b@x.test")
	if passed := o.mustSubmit(mailBy("anna", r.FormB(), "b@x.test")); passed == "" {
		t.Error("the recall was swallowed")
	}
	o.post()
	answer := o.reports["anna@corp.test"]
	if !strings.Contains(answer, "several messages match") || !strings.Contains(answer, one) || !strings.Contains(answer,
		two) {
		t.Errorf("the answer:\n%s", answer)
	}
	if strings.Contains(strings.Join(o.log, "\n"), "price") {
		t.Errorf("the log tells the subject: %q", o.log)
	}
	if o.state(one) != holdstore.Held || o.state(two) != holdstore.Held {
		t.Error("one of them was recalled")
	}
}

func TestARepeatedRecallIsSwallowedAgain(t *testing.T) {
	o := newOffice(t)
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	for _, to := range [][]string{{"b@x.test"}, {"b@x.test", "c@x.test"}} {
		id := o.writes("anna", r, "b@x.test", "c@x.test")
		for range 2 { // the client did not hear the first 250
			if passed := o.mustSubmit(mailBy("anna", r.FormA(), to...)); passed != "" {
				t.Errorf("the recall for %v went on", to)
			}
		}
		if _, err := o.store.Recall(t.Context(), id, holdstore.Actor{}); err != nil && !errors.Is(err, holdstore.ErrNotNow) {
			t.Fatal(err)
		}
	}
}

func TestARecallThatIsTooLateGoesOnAndSaysSo(t *testing.T) {
	o := newOffice(t)
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	id := o.writes("anna", r, "b@x.test")
	if _, err := o.store.Release(t.Context(), id, holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	o.post()
	if passed := o.mustSubmit(mailBy("anna", r.FormA(), "b@x.test")); passed == "" {
		t.Error("the recall was swallowed")
	}
	if o.post(); !strings.Contains(o.reports["anna@corp.test"], "Too late to recall") {
		t.Errorf("the answer:\n%s", o.reports["anna@corp.test"])
	}
}

func TestDeleteAndReplaceSendsTheReplacementOnly(t *testing.T) {
	o := newOffice(t)
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
	wrong := o.writes("anna", r, "b@x.test")
	o.mustSubmit(mailBy("anna", r.FormA(), "b@x.test"))
	right := o.writes("anna", r, "b@x.test")
	if o.state(wrong) != holdstore.Recalled || o.state(right) != holdstore.Held {
		t.Errorf("the first is %s, its replacement %s", o.state(wrong), o.state(right))
	}
}

func TestACorrectedMessageReplacesTheHeldOne(t *testing.T) {
	o := newOffice(t)
	corrected := func(login, old string) letterOf {
		return mailBy(login,
			"Subject: prices, corrected\r\nSupersedes: "+old+"\r\nMessage-ID: <new@corp.test>\r\n\r\nbody\r\n", "b@x.test")
	}
	old, mid := o.message("anna", "prices", "b@x.test")
	if id := o.mustSubmit(corrected("bert", mid)); o.state(id) != holdstore.Held || o.state(old) != holdstore.Held {
		t.Errorf("another login: the new one is %s, the old one %s", o.state(id), o.state(old))
	}
	if id := o.mustSubmit(corrected("anna", mid)); o.state(id) != holdstore.Held || o.state(old) != holdstore.Recalled {
		t.Errorf("the new one is %s, the old one %s", o.state(id), o.state(old))
	}
	sent, mid := o.message("anna", "prices", "b@x.test")
	if _, err := o.store.Release(t.Context(), sent, holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	o.post()
	if id := o.mustSubmit(corrected("anna", mid)); o.state(id) != holdstore.Held {
		t.Errorf("too late: the new one is %s", o.state(id))
	}
	unheld := corrected("anna", mid)
	unheld.grace = 0
	old, _ = o.message("anna", "prices", "b@x.test")
	unheld.text = strings.Replace(unheld.text, "<m2@", "<m3@", 1)
	o.mustSubmit(unheld)
	if o.state(old) != holdstore.Recalled {
		t.Errorf("by a message that isn't held: the old one is %s", o.state(old))
	}
	o.post()
	answers := o.reports["anna@corp.test"]
	if strings.Count(answers, "Subject: Recalled: prices") != 2 || strings.Count(answers,
		"Subject: Too late to recall: prices") != 1 ||
		!strings.Contains(o.reports["bert@corp.test"], "Subject: Recall refused") {
		t.Errorf("answers to anna:\n%s\nto bert:\n%s", answers, o.reports["bert@corp.test"])
	}
}

func TestANoticeSaysHowToRecallAndItsAnswerDoes(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Notice = "always" })
	id, mid := o.message("anna", "prices", "b@x.test")
	o.post()
	notice := o.reports[mid]
	if !strings.Contains(notice, "RECALL "+id) || !strings.Contains(notice, "References: "+mid) {
		t.Fatalf("the notice:\n%s", notice)
	}
	_, own, _ := strings.Cut(notice, "\r\nMessage-ID: ")
	own, _, _ = strings.Cut(own, "\r\n")
	o.command("anna", "Subject: Re: Waiting\r\nIn-Reply-To: "+own+"\r\nReferences: "+mid+" "+own+"\r\n", "")
	if o.state(id) != holdstore.Recalled {
		t.Errorf("after an answer to the notice it is %s", o.state(id))
	}
}

func TestWhatIsReplacedStaysUntilTheNewOneIsHeld(t *testing.T) {
	o := newOffice(t)
	old, mid := o.message("anna", "prices", "b@x.test")
	m := &Mail{Holds: true,
		Submission: holdstore.Submission{Login: "anna", Sender: holdstore.Path{Address: "anna@corp.test"},
			Recipients: []holdstore.Path{{Address: "b@x.test"}}},
		Message: mailmsg.Message{Fields: []policy.Field{{Name: "Supersedes", Value: " " + mid}}}}
	disposition, err := o.Act(t.Context(), m)
	if err != nil || len(disposition.Replaces) != 1 || disposition.Replaces[0] != old || o.state(old) != holdstore.Held {
		t.Errorf("%v %+v, the old one is %s", err, disposition, o.state(old))
	}
}

package recall

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/policy"
)

func TestEveryWayToNameAMessage(t *testing.T) {
	o := newOffice(t)
	forwarded := func(id string) (string, string) {
		return "Subject: Fwd: prices\r\nContent-Type: multipart/mixed; boundary=b\r\n",
			"--b\r\nContent-Type: text/plain\r\n\r\nplease\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: " +
				"prices\r\nMessage-ID:\r\n " + id + "\r\n\r\nbody\r\n--b--\r\n"
	}
	for name, write := range map[string]func(id, mid string) (header, body string){
		"message-id": func(_, mid string) (string, string) { return "Subject: RECALL Message-ID: " + mid + "\r\n", "" },
		"no colon":   func(_, mid string) (string, string) { return "Subject: recall message-id " + mid + "\r\n", "" },
		"half an ID": func(_, mid string) (string, string) { return "Subject: RECALL " + mid[1:] + "\r\n", "" },
		"encoded":    func(_, mid string) (string, string) { return "Subject: =?utf-8?q?Re:_recall_" + mid + "?=\r\n", "" },
		"hold id":    func(id, _ string) (string, string) { return "Subject: recall " + strings.ToLower(id) + "\r\n", "" },
		"id alone":   func(id, _ string) (string, string) { return "Subject: AW: " + id + "\r\n", "" },
		"reply": func(_, mid string) (string, string) {
			return "Subject: Re: prices\r\nIn-Reply-To: " + mid + "\r\n",
				""
		},
		"references": func(_, mid string) (string, string) { return "References: <x@y.test>\r\n\t" + mid + "\r\n", "" },
		"forward":    func(_, mid string) (string, string) { return forwarded(mid) },
		"inline": func(_, mid string) (string, string) {
			return "Subject: Fw: prices\r\n", "----- Forwarded message -----\r\nFrom: anna\r\nMessage-ID: " + mid + "\r\n"
		},
		"last": func(_, _ string) (string, string) { return "Subject: Recall Last\r\n", "" },
	} {
		o.message("anna", "other", "b@x.test")
		id, mid := o.message("anna", "prices", "b@x.test", "c@x.test")
		answer := o.command(write2("anna", write, id, mid))
		if got := o.state(id); got != holdstore.Recalled || !strings.Contains(answer, "\r\nSubject: Recalled: prices\r\n") ||
			strings.Count(answer, "Outcome: recalled") != 2 {
			t.Errorf("%s: it is %s\n%s", name, got, answer)
		}
	}
	if got, err := o.store.Latest(t.Context(), holdstore.Whose{Login: "anna"}, 100, nil); err != nil ||
		len(inState(got, holdstore.Held)) != 11 {
		t.Errorf("%d others are held (%v), want 11", len(inState(got, holdstore.Held)), err)
	}
}

func write2(login string, write func(id, mid string) (string, string), id, mid string) (string, string, string) {
	header, body := write(id, mid)
	return login, header, body
}

func TestAnUnclearCommandIsAnsweredWithWhatWaits(t *testing.T) {
	o := newOffice(t)
	id, _ := o.message("anna", "prices", "b@x.test")
	other, _ := o.message("bert", "secret", "b@x.test")
	for _, subject := range []string{"", "Subject: please recall my mail of this morning\r\n",
		"Subject: recall tomorrow\r\n"} {
		answer := o.command("anna", subject, "")
		if !strings.Contains(answer, "Subject: How to recall") || !strings.Contains(answer, id) || strings.Contains(answer,
			other) {
			t.Errorf("%q is answered\n%s", subject, answer)
		}
	}
	if o.state(id) != holdstore.Held {
		t.Error("an unclear command changed something")
	}
	if answer := o.command("anna", "Subject: recall <unknown@x.test>\r\n", ""); !strings.Contains(answer,
		"no such message") {
		t.Errorf("an unknown message is answered\n%s", answer)
	}
}

func TestNobodyRecallsAnothersMail(t *testing.T) {
	o := newOffice(t)
	o.rules["executives"] = policy.Rule{Name: "executives", NoRecall: true, Delegates: patterns(t, "assistant")}
	id, mid := o.message("anna", "prices", "b@x.test")
	text := func(mid, more string) string {
		return "Subject: RECALL " + mid + "\r\n" + more + "Message-ID: <c@x.test>\r\n\r\n"
	}
	forged := mailBy("bert",
		text(mid, "From: anna@corp.test\r\nSender: anna@corp.test\r\nX-Login: anna\r\nX-Recall-Policy: pass\r\n"), desk)
	forged.from = "anna@corp.test"
	unknown := forged
	unknown.login = ""
	for name, l := range map[string]letterOf{"another login": mailBy("bert", text(mid, ""), desk), "forged From": forged,
		"no login": unknown} {
		o.mustSubmit(l)
		if o.state(id) != holdstore.Held {
			t.Fatalf("%s recalled it", name)
		}
	}
	o.post()
	if answer := o.reports["<c@x.test>"]; strings.Count(answer, "Subject: Recall refused") != 3 || strings.Contains(answer,
		"prices") {
		t.Errorf("the answers:\n%s", answer)
	}
	if refused := o.audited("recall refused"); refused != 3 {
		t.Errorf("%d refusals in the audit trail, want 3", refused)
	}
	ceo := mailBy("ceo", "Subject: plans\r\nMessage-ID: <plans@corp.test>\r\n\r\n", "b@x.test")
	ceo.rule = "executives"
	id = o.mustSubmit(ceo)
	if answer := o.command("ceo", "Subject: RECALL <plans@corp.test>\r\n", ""); o.state(id) != holdstore.Held ||
		!strings.Contains(answer, "rule executives") {
		t.Errorf("recall = false: it is %s\n%s", o.state(id), answer)
	}
	if answer := o.command("assistant", "Subject: RECALL <plans@corp.test>\r\n", ""); o.state(id) != holdstore.Recalled {
		t.Errorf("a delegate was refused:\n%s", answer)
	}
}

func patterns(t *testing.T, texts ...string) policy.Patterns {
	t.Helper()
	p, err := policy.ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (o *office) audited(verb string) (n int) {
	for e, err := range o.store.Log(o.t.Context(), time.Time{}, false) {
		if err != nil {
			o.t.Fatal(err)
		}
		if e.Verb == verb {
			n++
		}
	}
	return n
}

func TestARelayVouchesForItsSenders(t *testing.T) {
	o := newOffice(t)
	relayed := func(client, from, text string, to ...string) letterOf {
		return letterOf{from: from, client: client, to: to, text: text, grace: time.Hour, rule: "default"}
	}
	id := o.mustSubmit(relayed("10.0.0.1", "Anna@corp.test", "Message-ID: <r@corp.test>\r\n\r\n", "b@x.test"))
	command := "Subject: RECALL <r@corp.test>\r\nMessage-ID: <c@corp.test>\r\n\r\n"
	o.mustSubmit(relayed("10.0.0.2", "anna@corp.test", command, desk))
	o.mustSubmit(relayed("10.0.0.1", "bert@corp.test", command, desk))
	if o.state(id) != holdstore.Held {
		t.Fatal("another relay or sender recalled it")
	}
	o.mustSubmit(relayed("10.0.0.1", "anna@corp.test", command, desk))
	if o.state(id) != holdstore.Recalled {
		t.Error("the same relay and sender were refused")
	}
}

func TestNothingLoops(t *testing.T) {
	o := newOffice(t)
	id, mid := o.message("anna", "prices", "b@x.test")
	for _, field := range []string{"Auto-Submitted: auto-replied", "List-Id: <l.corp.test>", "Precedence: bulk",
		"X-Loop: x",
		"X-BeenThere: l@corp.test", "Mailing-List: contact l-help@corp.test", "X-Google-Group-Id: 1",
		"Precedence: Auto_Reply",
		"Resent-From : anna@corp.test",
		"X-MS-Exchange-Inbox-Rules-Loop: anna@corp.test", "X-Forwarded-To: b@x.test", "X-Sieve: Pigeonhole Sieve 0.5"} {
		_, refusal, err := o.submit(mailBy("anna", field+"\r\nSubject: RECALL "+mid+"\r\n\r\n", desk))
		if err != nil || !strings.HasPrefix(refusal, "550 ") || o.state(id) != holdstore.Held {
			t.Errorf("%s: %v, %q, it is %s", field, err, refusal, o.state(id))
		}
	}
	if o.post(); len(o.reports) != 0 {
		t.Errorf("automatic mail was answered: %v", o.reports)
	}
	if answer := o.command("anna", "Auto-Submitted: no\r\nSubject: RECALL "+mid+"\r\n", ""); !strings.Contains(answer,
		"Auto-Submitted: auto-replied") {
		t.Errorf("the answer does not say that it is automatic:\n%s", answer)
	}
}

// One login, from many connections at once.
func TestTenThousandCommandsAreBounded(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Rate, o.Per = 60, time.Hour })
	var taken atomic.Int32
	var wg sync.WaitGroup
	for hand := range 20 {
		wg.Go(func() {
			for n := range 500 {
				_, refusal, err := o.submit(mailBy("anna", fmt.Sprintf("Subject: RECALL <%d.%d@x.test>\r\n\r\n", hand, n), desk))
				switch {
				case err != nil, refusal == "": // what the store could not do now counts too
					taken.Add(1)
				case !strings.HasPrefix(refusal, "550 5.7.1 too many recalls: 60 in 1h"):
					t.Error(refusal)
				}
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 60 {
		t.Errorf("%d of 10,000 commands were taken, want 60", n)
	}
	if _, refusal, _ := o.submit(mailBy("bert", "Subject: RECALL LAST\r\n\r\n", desk)); refusal != "" {
		t.Errorf("another login is refused too: %s", refusal)
	}
}

func TestARepeatedCommandIsSafe(t *testing.T) {
	o := newOffice(t)
	first, _ := o.message("anna", "one", "b@x.test")
	o.message("anna", "two", "b@x.test")
	for range 2 { // the client did not hear the first 250
		if answer := o.command("anna", "Subject: RECALL LAST\r\n", ""); !strings.Contains(answer, "Subject: Recalled: two") {
			t.Errorf("the answer:\n%s", answer)
		}
	}
	if o.state(first) != holdstore.Held {
		t.Error("the repetition recalled another message")
	}
}

func TestSomeRecipientsByMail(t *testing.T) {
	o := newOffice(t)
	for name, command := range map[string][2]string{
		"subject": {"Subject: RECALL LAST ONLY <b@x.test>\r\n", ""}, "body": {"Subject: RECALL LAST\r\n",
			"hello\r\nonly: B@x.test, d@x.test\r\n"},
	} {
		id, mid := o.message("anna", "prices", "b@x.test", "c@x.test", "d@x.test")
		answer := o.command("anna", command[0], command[1])
		if !strings.Contains(answer, "<b@x.test>") || strings.Contains(answer, "c@x.test") || o.state(id) != holdstore.Held {
			t.Errorf("%s: it is %s\n%s", name, o.state(id), answer)
		}
		if _, err := o.store.Release(t.Context(), id, holdstore.Actor{}); err != nil {
			t.Fatal(err)
		}
		o.post()
		if o.mail[mid+" b@x.test"] || !o.mail[mid+" c@x.test"] {
			t.Errorf("%s: sent %v", name, o.mail)
		}
	}
	id, _ := o.message("anna", "prices", "b@x.test", "c@x.test")
	for only, says := range map[string]string{"bert": "can't be read", "d@x.test": "it was not sent to d@x.test"} {
		if answer := o.command("anna", "Subject: RECALL LAST ONLY "+only+"\r\n", ""); o.state(id) != holdstore.Held ||
			!strings.Contains(answer, says) {
			t.Errorf("ONLY %s: it is %s\n%s", only, o.state(id), answer)
		}
	}
}

func TestTooLateSaysSinceWhenAndToWhom(t *testing.T) {
	o := newOffice(t)
	id, mid := o.message("anna", "prices", "b@x.test")
	if _, err := o.store.Release(t.Context(), id, holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	o.post()
	answer := o.command("anna", "Subject: RECALL "+mid+"\r\n", "")
	for _, want := range []string{"Subject: Too late to recall: prices", "<b@x.test>", "250 queued as 1",
		"Outcome: refused"} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q:\n%s", want, answer)
		}
	}
}

// A rule says of which outcomes its senders hear; of a recall that finds nothing, the site does.
func TestARuleSaysOfWhichOutcomesItsSendersHear(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Notice = "always" }) // answers that are not wanted are not counted
	o.o.Texts.Use(post.Site{Language: func(string, string) string { return "en" },
		Reason:  func(string, string) string { return "" },
		Reports: func(rule string) string { return map[string]string{"quiet": "failures", "silent": "never"}[rule] }})
	recall := func(rule string, late bool) (answer string, state holdstore.State) {
		t.Helper()
		o.tick()
		mid := fmt.Sprintf("<%s-%v@corp.test>", rule, late)
		l := mailBy("anna", "Subject: prices\r\nMessage-ID: "+mid+"\r\n\r\nbody\r\n", "b@x.test")
		l.rule = rule
		id := o.mustSubmit(l)
		if late {
			if _, err := o.store.Release(t.Context(), id, holdstore.Actor{}); err != nil {
				t.Fatal(err)
			}
			o.post()
		}
		answer = o.command("anna", "Subject: RECALL "+mid+"\r\n", "")
		return answer, o.state(id)
	}
	for _, c := range []struct {
		rule             string
		success, failure bool
	}{{"loud", true, true}, {"quiet", false, true}, {"silent", false, false}} {
		if got, state := recall(c.rule, false); (got != "") != c.success || state != holdstore.Recalled {
			t.Errorf("%s: recalled, %s: %q", c.rule, state, got)
		}
		if got, state := recall(c.rule, true); (got != "") != c.failure || state != holdstore.Released {
			t.Errorf("%s: too late, %s: %q", c.rule, state, got)
		}
	}
	if o.command("anna", "Subject: RECALL <x@x.test>\r\n", "") == "" {
		t.Error("a recall that finds nothing was not answered")
	}
}

func TestOthersStillGetACommandThatWasAlsoForThem(t *testing.T) {
	o := newOffice(t)
	id, mid := o.message("anna", "prices", "b@x.test")
	o.mustSubmit(mailBy("anna", "Subject: Re: prices\r\nIn-Reply-To: "+mid+"\r\nMessage-ID: <both@corp.test>\r\n\r\n",
		"c@x.test", desk))
	holds, err := o.store.Resolve(t.Context(), "<both@corp.test>")
	if err != nil || o.state(id) != holdstore.Recalled || len(holds) != 1 || len(holds[0].Recipients) != 1 ||
		holds[0].Recipients[0].Address != "c@x.test" {
		t.Errorf("%v, the target is %s, the mail %+v", err, o.state(id), holds)
	}
}

func TestWhatIsBeingSentIsWaitedFor(t *testing.T) {
	o := newOffice(t)
	id, mid := o.message("anna", "prices", "b@x.test")
	if _, err := o.store.Release(t.Context(), id, holdstore.Actor{}); err != nil {
		t.Fatal(err)
	}
	claims, err := o.store.Claim(t.Context(), 1)
	if err != nil || len(claims) != 1 {
		t.Fatalf("%v %d", err, len(claims))
	}
	answered := make(chan string)
	go func() { answered <- o.command("anna", "Subject: RECALL "+mid+"\r\n", "") }()
	select {
	case answer := <-answered:
		t.Fatalf("answered while the outcome was open:\n%s", answer)
	case <-time.After(sendingPause): // after some of these it is given up
	}
	if err := o.store.Settle(t.Context(), claims[0], holdstore.Settlement{RetryIn: time.Hour,
		Detail: "451 later"}); err != nil {
		t.Fatal(err)
	}
	if answer := <-answered; o.state(id) != holdstore.Recalled || !strings.Contains(answer, "Outcome: recalled") {
		t.Errorf("it is %s\n%s", o.state(id), answer)
	}
}

func TestOnlyWhatIsOpenIsWaitedFor(t *testing.T) {
	h := &holdstore.Hold{Submission: holdstore.Submission{Recipients: []holdstore.Path{{Address: "b@x.test"},
		{Address: "c@x.test"}}},
		Results: []holdstore.Result{{Outcome: holdstore.TakenBack}, {Outcome: holdstore.Pending}}}
	for want, only := range map[bool][]string{true: nil, false: {"B@x.test"}} {
		if open(h, only) != want {
			t.Errorf("for %v it is open: %v", only, !want)
		}
	}
}

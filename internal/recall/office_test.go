package recall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

const desk = "recall@corp.test"

// office is a desk in front of a real store, with a milter and a post that do what the real ones do.
type office struct {
	*Desk
	t     *testing.T
	store *holdstore.Store
	rules map[string]policy.Rule

	mu       sync.Mutex
	log      []string
	mail     map[string]bool   // "MESSAGE-ID recipient" that was sent
	reports  map[string]string // by their In-Reply-To, or their recipient
	messages int
	answers  *answers
	troubles *[]string // nil: there must be none
}

func newOffice(t *testing.T, change ...func(*Options)) *office {
	t.Helper()
	return officeWith(t, holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}}, change...)
}

func officeWith(t *testing.T, options holdstore.Options, change ...func(*Options)) *office {
	t.Helper()
	o := Options{Addresses: []string{desk}, Outlook: true, SubjectPrefixes: []string{"Recall:", "撤回:", "回收:", "회수:"},
		Supersedes: true, Notice: "never",
		MaxGrace: 24 * time.Hour, ParseDuration: time.ParseDuration}
	for _, c := range change {
		c(&o)
	}
	store, err := holdstore.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	of := &office{t: t, store: store, rules: map[string]policy.Rule{}, mail: map[string]bool{},
		reports: map[string]string{}}
	if o.Texts, err = post.ReadTexts(""); err != nil {
		t.Fatal(err)
	}
	of.Desk = New(store, func(name string) policy.Rule { return of.rules[name] }, of, o)
	of.counted()
	return of
}

func (o *office) Acted(*holdstore.Hold, string, holdstore.Actor, ...string) {}

func (o *office) Commanded(sub holdstore.Submission, form, outcome, detail string) {
	o.noteDue(&sub, form, outcome)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, form+" "+outcome+" "+detail)
}

func (o *office) Trouble(msg string, err error) {
	if o.troubles == nil {
		o.t.Errorf("%s: %v", msg, err)
		return
	}
	*o.troubles = append(*o.troubles, msg)
}

// letterOf is one mail that somebody submits.
type letterOf struct {
	login, from, client string
	to                  []string
	text                string // header, blank line, body
	grace               time.Duration
	rule                string
}

// by is a mail of a login.
func mailBy(login string, text string, to ...string) letterOf {
	return letterOf{login: login, from: login + "@corp.test", client: "192.0.2.1", to: to, text: text, grace: time.Hour,
		rule: "default"}
}

// submit does what the milter does, and returns the hold, "" when there is none, and a refusal.
func (o *office) submit(l letterOf) (id, refusal string, err error) {
	head, body, _ := strings.Cut(l.text, "\r\n\r\n")
	sub := holdstore.Submission{Login: l.login, Sender: holdstore.Path{Address: l.from}, Gateway: "gw.corp.test",
		Client: holdstore.Client{Address: l.client}}
	for _, to := range l.to {
		sub.Recipients = append(sub.Recipients, holdstore.Path{Address: to})
	}
	var fields []policy.Field
	for _, line := range strings.Split(strings.ReplaceAll(head, "\r\n\t", "\x00"), "\r\n") {
		name, value, _ := strings.Cut(strings.ReplaceAll(line, "\x00", "\r\n\t"), ":")
		fields = append(fields, policy.Field{Name: name, Value: value})
	}
	m := &Mail{Submission: sub, Holds: l.grace > 0, Rule: l.rule,
		Message: mailmsg.Message{Fields: fields, Body: []byte(body)}}
	m.MessageID, m.Subject, m.Date = policy.MessageID(m.Field("Message-ID")), mailmsg.Subject(m.Field("Subject")),
		m.Field("Date")
	ctx := context.Background()
	concern := o.Examine(m.Submission, fields)
	disposition := Disposition{Keep: concern.Others}
	if concern.May {
		disposition, err = o.Act(ctx, m)
		o.answers.failed.CompareAndSwap(false, err != nil)
		if err != nil || disposition.Refusal != "" || len(disposition.Keep) == 0 {
			return "", disposition.Refusal, err
		}
	}
	sub = m.Submission
	sub.Recipients = disposition.Keep
	p := o.store.Put(sub, []byte(head+"\r\n"))
	if err := p.Write(ctx, []byte(body)); err != nil {
		return "", "", err
	}
	r, err := p.Commit(ctx, holdstore.Terms{Rule: l.rule, Grace: l.grace, Replaces: disposition.Replaces})
	if err == nil {
		o.store.Confirm(r)
		o.Held(ctx, m, r)
	}
	return r.ID, "", err
}

func (o *office) mustSubmit(l letterOf) string {
	o.t.Helper()
	id, refusal, err := o.submit(l)
	if err != nil || refusal != "" {
		o.t.Fatalf("not taken: %v %s\n%s", err, refusal, l.text)
	}
	return id
}

// message is mail of a login to others.
func (o *office) message(login, subject string, to ...string) (id, messageID string) {
	o.t.Helper()
	o.tick()
	o.messages++
	messageID = fmt.Sprintf("<m%d@corp.test>", o.messages)
	return o.mustSubmit(mailBy(login, "Subject: "+subject+"\r\nMessage-ID: "+messageID+"\r\n\r\nbody\r\n", to...)),
		messageID
}

// tick waits for another millisecond: messages of the same one have no order, and LAST means none of them.
func (o *office) tick() {
	o.t.Helper()
	begun := time.Now().UnixMilli()
	server.Eventually(o.t, "another millisecond begins", func() bool { return time.Now().UnixMilli() > begun+1 })
}

// command writes to the desk and returns the text of the answer.
func (o *office) command(login, header, body string) string {
	o.t.Helper()
	o.messages++
	id := fmt.Sprintf("<c%d@corp.test>", o.messages)
	if _, refusal, err := o.submit(mailBy(login, header+"Message-ID: "+id+"\r\n\r\n"+body, desk)); err != nil ||
		refusal != "" {
		return refusal
	}
	o.post()
	return o.reports[id]
}

func (o *office) state(id string) holdstore.State {
	o.t.Helper()
	h, err := o.store.Get(context.Background(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return h.State
}

// post sends what is due now.
func (o *office) post() {
	for {
		claims, err := o.store.Claim(context.Background(), 100)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(claims) == 0 {
			return
		}
		for _, c := range claims {
			o.deliver(c)
		}
	}
}

// deliver is one release in which the MTA takes all.
func (o *office) deliver(c *holdstore.Claim) {
	text, err := io.ReadAll(o.store.Content(context.Background(), &c.Hold))
	if err != nil {
		o.t.Error(err)
	}
	st := holdstore.Settlement{Results: map[int]holdstore.Result{}}
	o.mu.Lock()
	for n, r := range c.Results {
		if r.Outcome == holdstore.Pending {
			st.Results[n] = holdstore.Result{Outcome: holdstore.Sent, Detail: "250 queued as 1"}
			o.mail[c.MessageID+" "+c.Recipients[n].Address] = true
		}
	}
	if c.Sender.Address == "" {
		head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		_, thread, ok := strings.Cut(string(head), "\r\nIn-Reply-To: ")
		thread, _, _ = strings.Cut(thread, "\r\n")
		if !ok {
			thread = c.Recipients[0].Address
		}
		o.reports[thread] += string(text)
	}
	o.mu.Unlock()
	if err := o.store.Settle(context.Background(), c, st); err != nil {
		o.t.Error(err)
	}
}

// arriving is a mail from its text.
func arriving(text string) *Mail { return &Mail{Message: outlook.Read(text)} }

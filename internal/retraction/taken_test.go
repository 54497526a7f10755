package retraction

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// losers are mailboxes out of which every message is taken, and whose users are to be told.
type losers struct{ Mailbox }

func (losers) Reaches(string) bool { return true }

func (losers) Retract(context.Context, mailbox.Target, func(mailbox.Result) error) (mailbox.Result, error) {
	return mailbox.Result{Outcome: mailbox.Retracted, Taken: mailbox.TakenUnread, Notice: true}, nil
}

func (losers) ClawBack(_ context.Context, c mailbox.Claw, _ []mailbox.Copy, _ func([]mailbox.Copy) error) (
	mailbox.Clawed, error) {
	return mailbox.Clawed{Outcome: mailbox.Moved, Notice: c.Recipient != "untold@corp.test"}, nil
}

// dying is a store that is away when an outcome is written, as it is for a daemon that dies before.
type dying struct {
	*holdstore.Store
	away bool
}

func (d *dying) EndClaw(ctx context.Context, id string, n int, outcome string, result any, again bool,
	keep time.Duration, e holdstore.Entry) error {
	if d.away {
		return holdstore.ErrUnavailable
	}
	return d.Store.EndClaw(ctx, id, n, outcome, result, again, keep, e)
}

func (d *dying) SaveJob(ctx context.Context, j *holdstore.Job, v any) error {
	if d.away {
		return holdstore.ErrUnavailable
	}
	return d.Store.SaveJob(ctx, j, v)
}

// told are the mails that tell of a message that was taken.
func told(t *testing.T, store *holdstore.Store) (all []string) {
	t.Helper()
	for _, mail := range waiting(t, store) {
		if strings.Contains(mail, "A message was taken out of your mailbox") {
			all = append(all, mail)
		}
	}
	return all
}

// Whoever's mailbox a message was taken out of is told once, also when the daemon dies before the outcome is written:
// who had written it and when it came in, and nothing of its subject and text.
func TestALossIsToldOnce(t *testing.T) {
	store, post := site(t)
	d := &dying{store, true}
	log := &notes{outcomes: map[string]string{}}
	x := New(d, post, losers{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	id := store.NewClawID()
	var all []clawback.Mailbox
	for _, to := range []string{"bert@corp.test", "untold@corp.test"} {
		all = append(all, clawback.Mailbox{Recipient: to, MessageID: "<bait@evil.test>", Author: "mallory@evil.test",
			Subject: "your account", Received: time.Now()})
	}
	must(t, func() error { return clawback.Start(t.Context(), store, id, clawback.Order{}, all, time.Hour) })
	p := &clawback.Part{ID: id, Numbers: []int{0, 1}}
	j := &holdstore.Job{Since: time.Now()}
	if err := x.clawBack(t.Context(), j, p); err == nil {
		t.Fatal("the outcome was written")
	}
	d.away = false
	for range 2 {
		if err := x.clawBack(t.Context(), j, p); err != nil {
			t.Fatal(err)
		}
	}
	mails := told(t, store)
	if len(mails) != 1 {
		t.Fatalf("%d mails tell of it:\n%s", len(mails), strings.Join(mails, "\n"))
	}
	for _, want := range []string{"To: <bert@corp.test>", "From: <postmaster@corp.test>", "<mallory@evil.test>",
		"Auto-Submitted: auto-generated", "Those who run your mail system"} {
		if !strings.Contains(mails[0], want) {
			t.Errorf("%q is missing:\n%s", want, mails[0])
		}
	}
	if strings.Contains(mails[0], "your account") {
		t.Errorf("it has the subject:\n%s", mails[0])
	}
}

// So it is with a recall, whose sender is named.
func TestALossByARecallIsToldOnce(t *testing.T) {
	store, post := site(t)
	d := &dying{store, true}
	log := &notes{outcomes: map[string]string{}}
	x := New(d, post, losers{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	order(x, t, "X", "bert@far.test", "carl@far.test")
	for range 2 {
		j := claimed(t, store)
		var o Order
		must(t, func() error { return j.Read(&o) })
		_ = x.retract(t.Context(), j, &o)
		d.away = false
		must(t, func() error { return store.RetryJob(t.Context(), j, 0) })
	}
	mails := told(t, store)
	if len(mails) != 2 || !strings.Contains(mails[0]+mails[1], "<bert@far.test>") ||
		!strings.Contains(mails[0], "Its sender recalled a message") || !strings.Contains(mails[0], "<anna@corp.test>") {
		t.Errorf("%d mails tell of it:\n%s", len(mails), strings.Join(mails, "\n"))
	}
}

// A mail of ours that is taken is told to nobody. A stranger can write neither a message that counts as ours, nor words
// of their own into a mail of ours.
func TestAStrangerNeitherHidesALossNorWritesWhatIsTold(t *testing.T) {
	store, p := site(t)
	ours, theirs := "", "<recall.taken.1@corp.test>"
	loses := func(to, id, from string) []string {
		t.Helper()
		must(t, func() error {
			return p.Taken(t.Context(), post.Loss{Recipient: to, MessageID: id, From: from, Received: time.Now()})
		})
		return told(t, store)
	}
	mails := loses("bert@corp.test", theirs, "mallory@evil.test")
	if len(mails) != 1 {
		t.Fatalf("a Message-ID like ours: %d mails tell of it", len(mails))
	}
	_, ours, _ = strings.Cut(mails[0], "Message-ID: ")
	ours, _, _ = strings.Cut(ours, "\r\n")
	if mails = loses("bert@corp.test", ours, "postmaster@corp.test"); len(mails) != 1 {
		t.Errorf("our own mail: %d mails tell of it", len(mails))
	}
	if mails = loses("carl@corp.test", ours, "mallory@evil.test"); len(mails) != 2 {
		t.Errorf("a copy of our Message-ID: %d mails tell of it", len(mails))
	}
	for n, words := range []string{"Locked: call 0900 666", "call 0900 666@evil.test", "0900 666 <a@evil.test>",
		"a@evil.test, 0900@666.test"} {
		mails = loses("bert@corp.test", "<1@"+string(rune('a'+n))+".test>", words)
		if len(mails) != 3+n || strings.Contains(strings.Join(mails, ""), "666") {
			t.Errorf("%q: %d mails\n%s", words, len(mails), strings.Join(mails, "\n"))
		}
	}
}

// The gateway's mails to others tell moments as the site's clock shows them.
func TestMailsToOthersHaveTheTimeOfTheSitesClock(t *testing.T) {
	store, _ := site(t)
	texts, err := post.ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	texts.Use(post.Site{Language: func(string, string) string { return "en" },
		Reason: func(string, string) string { return "" },
		Clock:  func(t time.Time) time.Time { return t.In(time.FixedZone("NPT", 20700)) }})
	p := post.New(store, texts, "")
	h := get(t, store, released(t, store, "anna", "bert@far.test"))
	must(t, func() error {
		return p.Taken(t.Context(), post.Loss{Recipient: "bert@corp.test", MessageID: "<1@far.test>", Received: time.Now()})
	})
	must(t, func() error {
		return p.Request(t.Context(), h, protocol.Request{ID: "1", MessageID: h.MessageID,
			Recipients: []string{"bert@far.test"}})
	})
	all := waiting(t, store)
	if n := strings.Count(strings.Join(all, "\n"), " (NPT)\r\n"); n != 2 {
		t.Errorf("%d moments of the site's clock:\n%s", n, strings.Join(all, "\n"))
	}
}

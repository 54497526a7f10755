package retraction

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// submitted is a message that left a hold to bert@far.test.
func submitted(t *testing.T, s *holdstore.Store, sub holdstore.Submission) string {
	t.Helper()
	sub.MessageID = cmp.Or(sub.MessageID, "<1@corp.test>")
	sub.Recipients = []holdstore.Path{{Address: "bert@far.test"}}
	var held holdstore.Committed
	must(t, func() (err error) {
		held, err = s.Put(sub, []byte("Subject: "+rand.Text()+"\r\n")).Commit(t.Context(), holdstore.Terms{Rule: "default"})
		return err
	})
	var claims []*holdstore.Claim
	server.Eventually(t, "it is claimed", func() bool { claims, _ = s.Claim(t.Context(), 1); return len(claims) == 1 })
	must(t, func() error {
		return s.Settle(t.Context(), claims[0],
			holdstore.Settlement{Results: map[int]holdstore.Result{0: {Outcome: holdstore.Sent}}})
	})
	return held.ID
}

func asking(t *testing.T, store *holdstore.Store, post *post.Post) *Retractor {
	t.Helper()
	domains, err := policy.ParsePatterns([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	return New(store, post, nil, mark.New([]byte("secret")), &notes{},
		Options{Ask: true, Domains: domains, Within: time.Hour, Keep: 7 * 24 * time.Hour})
}

// Mallory sends a copy of the boss's message, from the boss as he types it, and recalls it when it has left. Whether
// the boss's own was held or not, nobody is asked in the boss's name.
func TestNobodyIsAskedInAnothersName(t *testing.T) {
	boss := holdstore.Submission{Login: "boss", Sender: holdstore.Path{Address: "boss@corp.test"}}
	typed := holdstore.Submission{Sender: holdstore.Path{Address: "boss@corp.test"},
		Client: holdstore.Client{Address: "10.0.0.9"}}
	relayed := typed
	relayed.Client.Address = "10.0.0.1"
	mallory := holdstore.Submission{Login: "mallory", Sender: holdstore.Path{Address: "mallory@corp.test"},
		Author: "boss@corp.test"}
	disguised := holdstore.Submission{Login: "mallory", Sender: boss.Sender}
	upper, bare := typed, typed
	upper.MessageID, bare.MessageID = "<1@CORP.test>", "1@corp.test"
	for name, c := range map[string]struct {
		held, unheld *holdstore.Submission // the boss's own, before
		copy         holdstore.Submission
		want         holdstore.Outcome
	}{
		"only From is typed":              {nil, nil, mallory, holdstore.Sent},
		"the sender too, a hold before":   {&boss, nil, disguised, holdstore.Sent},
		"the sender too, unheld before":   {nil, &boss, disguised, holdstore.Sent},
		"without a login, a hold before":  {&boss, nil, typed, holdstore.Sent},
		"without a login, unheld before":  {nil, &boss, typed, holdstore.Sent},
		"its Message-ID in another case":  {&boss, nil, upper, holdstore.Sent},
		"the same, unheld before":         {nil, &boss, upper, holdstore.Sent},
		"its Message-ID without brackets": {&boss, nil, bare, holdstore.Sent},
		"without brackets, unheld before": {nil, &boss, bare, holdstore.Sent},
		"by another relay, a hold before": {&relayed, nil, typed, holdstore.Sent},
		"by another relay, unheld before": {nil, &relayed, typed, holdstore.Sent},
		"the boss, unheld before":         {nil, &boss, boss, holdstore.Requested},
		"the boss, by the same relay":     {&relayed, &relayed, relayed, holdstore.Requested},
		"the login is the address in From": {nil, nil,
			holdstore.Submission{Login: "Boss@corp.test", Sender: holdstore.Path{Address: "bounce+1@corp.test"},
				Author: "boss@corp.test"}, holdstore.Requested},
		"the login only looks like the address": {nil, nil,
			holdstore.Submission{Login: "bo\u017f\u017f@corp.test", Sender: holdstore.Path{Address: "x@corp.test"},
				Author: "boss@corp.test"}, holdstore.Sent},
	} {
		store, post := site(t)
		x := asking(t, store, post)
		if c.unheld != nil {
			remembered(t, x, *c.unheld)
		}
		if c.held != nil {
			at := get(t, store, submitted(t, store, *c.held)).HeldAt
			server.Eventually(t, "it is later", func() bool { return time.Since(at) > 2*time.Millisecond })
		}
		id := submitted(t, store, c.copy)
		domains, why, err := x.WouldAsk(t.Context(), get(t, store, id), nil)
		if err != nil || (len(domains) > 0) != (c.want == holdstore.Requested) || (why == "") != (len(domains) > 0) {
			t.Errorf("%s: would ask %q, %q, %v; want %s", name, domains, why, err, c.want)
		}
		must(t, func() error {
			_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
			return err
		})
		if got := get(t, store, id).Results[0].Outcome; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// remembered tells the retractor of a message that is not held, and waits until it is written.
func remembered(t *testing.T, x *Retractor, sub holdstore.Submission) {
	t.Helper()
	sub.MessageID = "<1@corp.test>"
	x.Unheld(sub)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x.RememberUnheld(ctx)
}

// A copy that comes later keeps no sender from their own recall; but no key goes out for a Message-ID that two have
// used.
func TestAMessageIDOfTwoIsAskedForWithoutAKey(t *testing.T) {
	for name, later := range map[string]bool{"used by one": false, "a copy later, not held": true} {
		store, post := site(t)
		x := asking(t, store, post)
		id := submitted(t, store, holdstore.Submission{Login: "anna", Sender: holdstore.Path{Address: "anna@corp.test"}})
		if later {
			at := get(t, store, id).HeldAt
			server.Eventually(t, "it is a second later", func() bool { return time.Since(at) > 1100*time.Millisecond })
			remembered(t, x, holdstore.Submission{Login: "mallory", Sender: holdstore.Path{Address: "mallory@corp.test"}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { x.Run(ctx) })
		must(t, func() error {
			_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
			return err
		})
		server.Eventually(t, "the request is written", func() bool { return len(waiting(t, store)) == 1 })
		cancel()
		wg.Wait()
		if got := strings.Contains(waiting(t, store)[0], "\r\nCancel-Key: "); got == later {
			t.Errorf("%s: with a key: %v", name, got)
		}
	}
}

// A status comes from a gateway: a user who was asked can't say for the gateway what became of the message.
func TestNobodyAnswersForTheirOwnGateway(t *testing.T) {
	store, post := site(t)
	x := asking(t, store, post)
	id := released(t, store, "anna", "postmaster@far.test")
	must(t, func() error {
		_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
		return err
	})
	s := protocol.Status{RequestID: x.planned(t, id)[0].RequestID,
		Recipients: []protocol.StatusOf{{Address: "postmaster@far.test", Outcome: protocol.StatusRetracted}}}
	if err := x.AcceptStatus(t.Context(), s, "postmaster@far.test"); err == nil {
		t.Error("who was asked answered for the gateway")
	}
	if got := get(t, store, id).Results[0].Outcome; got != holdstore.Requested {
		t.Errorf("it is %s", got)
	}
}

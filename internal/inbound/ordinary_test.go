package inbound

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
)

// unconcerned is a retractor that has asked nobody for anything, and must not be given an order.
type unconcerned struct{ t *testing.T }

func (u unconcerned) AcceptOrder(context.Context, retraction.Order, bool) (bool, error) {
	u.t.Error("a look-alike is carried out")
	return false, nil
}
func (unconcerned) MayAnswerUs(protocol.Status) bool                            { return false }
func (unconcerned) Reaches(string) bool                                         { return false }
func (unconcerned) AcceptStatus(context.Context, protocol.Status, string) error { return nil }
func (unconcerned) Receipts(context.Context, []protocol.Receipt) error          { return nil }

// recalls are look-alikes that have the form of a recall, and what the gate says of each. Two are genuine here: their
// author recalls a message of their own. The others must stay as they are.
var recalls = map[string]string{
	"list-passes-a-recall-on.eml":           "fail; reason=came through a mailing list",
	"recall-null-sender.eml":                "550 5.7.1 recall refused: null sender",
	"recall-that-came-in-redirected.eml":    "pass; reason=aligned; domain=partner.test; target=<held@corp.test>",
	"strangers-recall-delivered-before.eml": "pass; reason=aligned; domain=partner.test; target=<held@corp.test>",
	"strangers-recall-redirected.eml":       "550 5.7.1 recall refused: sender not authenticated",
	"two-authors.eml":                       "550 5.7.1 recall refused: From is not one plain address",
}

// TestWhatOnlyLooksLikeARecallComesInAsOrdinaryMail has each look-alike come in at its most dangerous: from the author
// of the message that it could mean, with a signature that covers everything, under a policy that lets all pass.
func TestWhatOnlyLooksLikeARecallComesInAsOrdinaryMail(t *testing.T) {
	t.Parallel()
	key, verifier, store, _ := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	files, err := filepath.Glob("../recall/testdata/ordinary/*.eml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	g := New(Options{AuthservID: "gw.x.test", Prefixes: []string{"Recall:", "Rückruf:", "撤回:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default", Partners: everybody, Require: []string{"aligned"},
			MaxAge: 100000 * time.Hour,
			Rate:   1000, Per: time.Hour, OnFail: "reject"}}}, store, unconcerned{t}, quiet{})
	known := holdstore.Remembered{MessageID: "<held@corp.test>", From: "anna@partner.test",
		Recipients: []string{"b@x.test"},
		Subjects:   []string{priceList}, At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	if err := store.Remember(t.Context(), []holdstore.Remembered{known}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, text, _ := strings.Cut(strings.ReplaceAll(string(raw), "\n", "\r\n"), "\r\n")
		text = strings.ReplaceAll(text, "From: Anna <anna@corp.test>", "From: Anna <anna@partner.test>")
		sender := strings.TrimSuffix(strings.TrimPrefix(head, "Return-Path: <"), ">")
		m := mailFrom(sign(t, text, "partner.test", key, "From", "To", "Subject", "Date", "Content-Type", "Message-ID"),
			sender, "b@x.test", "192.0.2.7")
		look := g.Examine(m)
		var r Disposition
		if look.Body > 0 {
			r = g.Judge(t.Context(), m)
		}
		if says, is := recalls[filepath.Base(file)]; is {
			if got := r.Reply + added(r); r.Done || !strings.HasPrefix(got, says) {
				t.Errorf("%s: %s, want %s", file, got, says)
			}
			continue
		}
		if r.Command || r.Reply != "" || r.Done || len(r.Add)+len(look.Strip) > 0 {
			t.Errorf("%s: %+v %+v", filepath.Base(file), look, r)
		}
	}
}

// added is the verdict that a mail is tagged with.
func added(r Disposition) string {
	if len(r.Add) == 0 {
		return ""
	}
	return r.Add[0].Value
}

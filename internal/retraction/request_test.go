package retraction

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestWhichDomainsAreAsked(t *testing.T) {
	h := &holdstore.Hold{ID: "1", State: holdstore.Released,
		Submission: holdstore.Submission{MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"}}}
	for _, to := range []string{"b@far.test", "c@FAR.test", "d@other.test", "e@sub.other.test"} {
		h.Recipients = append(h.Recipients, holdstore.Path{Address: to})
		h.Results = append(h.Results, holdstore.Result{Outcome: holdstore.Sent, At: time.Now()})
	}
	for _, c := range []struct{ patterns, want []string }{
		{[]string{"*"}, []string{"far.test", "other.test", "sub.other.test"}},
		{[]string{"far.test"}, []string{"far.test"}},
		{[]string{"!far.test"}, []string{"other.test", "sub.other.test"}},
		{[]string{"*", "!far.test"}, []string{"other.test", "sub.other.test"}},
		{[]string{"!far.test", "!*other.test"}, nil},
		{[]string{"*.test", "!sub.*"}, []string{"far.test", "other.test"}},
		{nil, nil},
	} {
		domains, err := policy.ParsePatterns(c.patterns)
		if err != nil {
			t.Fatal(err)
		}
		x := &Retractor{o: Options{Ask: true, Domains: domains}, marker: mark.New([]byte("secret"))}
		var got []string
		for _, asked := range x.requests(h, nil, "") {
			got = append(got, asked.Domain)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q asks %q, want %q", c.patterns, got, c.want)
		}
	}
}

// A dry run says of each message why nobody would be asked, or who.
func TestWhyNobodyWouldBeAsked(t *testing.T) {
	store, post := site(t)
	x := asking(t, store, post)
	report := New(store, post, nil, nil, &notes{}, Options{Domains: x.o.Domains})
	elsewhere, err := policy.ParsePatterns([]string{"other.test"})
	if err != nil {
		t.Fatal(err)
	}
	few := New(store, post, nil, nil, &notes{}, Options{Ask: true, Domains: elsewhere})
	id := released(t, store, "anna", "bert@far.test")
	h := get(t, store, id)
	with := func(change func(h *holdstore.Hold)) *holdstore.Hold {
		other := *h
		change(&other)
		return &other
	}
	for _, c := range []struct {
		x    *Retractor
		h    *holdstore.Hold
		only []string
		why  string
	}{
		{x, h, nil, ""}, {report, h, nil, `after_release is "report"`}, {few, h, nil, "request_domains leaves out"},
		{x, with(func(h *holdstore.Hold) { h.State = holdstore.Releasing }), nil, "being sent at this moment"},
		{x, with(func(h *holdstore.Hold) { h.State = holdstore.Held }), []string{"bert@far.test"}, "still held"},
		{x, with(func(h *holdstore.Hold) { h.MessageID = "" }), nil, "no Message-ID"},
		{x, with(func(h *holdstore.Hold) { h.Sender.Address = "" }), nil, "null sender"},
		{x, h, []string{"carl@far.test"}, "no recipient has it"},
	} {
		domains, why, err := c.x.WouldAsk(t.Context(), c.h, c.only)
		if err != nil || !strings.Contains(why, c.why) || (c.why == "") != slices.Equal(domains, []string{"far.test"}) {
			t.Errorf("%q: %q, %q, %v", c.why, domains, why, err)
		}
	}
	must(t, func() error {
		_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
		return err
	})
	if _, why, err := x.WouldAsk(t.Context(), get(t, store, id), nil); err != nil || why != "asked before: far.test" {
		t.Errorf("asked before: %q, %v", why, err)
	}
}

// Mallory sends a message with the Message-ID of Anna's, and From hers, to whom hers went; and recalls it.
func TestNobodyIsAskedForACopyOfAnothersMessage(t *testing.T) {
	store, post := site(t)
	domains, err := policy.ParsePatterns([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{},
		Options{Ask: true, Domains: domains, Within: time.Hour})
	annas := released(t, store, "anna", "bert@far.test")
	again := released(t, store, "anna", "carl@far.test") // a message may go to carl twice
	at := get(t, store, again).HeldAt
	server.Eventually(t, "it is later", func() bool { return time.Since(at) > 2*time.Millisecond })
	mallorys := released(t, store, "mallory", "bert@far.test")
	for id, want := range map[string]holdstore.Outcome{mallorys: holdstore.Sent, annas: holdstore.Requested,
		again: holdstore.Requested} {
		must(t, func() error {
			_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
			return err
		})
		if got := get(t, store, id).Results[0].Outcome; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	for e, err := range store.Log(t.Context(), time.Time{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Verb == "recall refused" && e.ID == mallorys {
			return
		}
	}
	t.Error("it is not in the audit trail")
}

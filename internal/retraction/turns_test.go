package retraction

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
)

// A recall of a message to thousands of domains makes as many requests. Another user's request is written next.
func TestOneUsersRequestsKeepNobodyElsesWaiting(t *testing.T) {
	store, post := site(t)
	all, err := policy.ParsePatterns([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{},
		Options{Ask: true, Domains: all, Within: time.Hour, Keep: time.Hour})
	var many []string
	for n := range 50 {
		many = append(many, fmt.Sprintf("r@d%d.test", n))
	}
	for _, by := range []struct {
		login string
		to    []string
	}{{"mallory", many}, {"anna", []string{"bert@far.test"}}} {
		h := get(t, store, released(t, store, by.login, by.to...))
		must(t, func() error {
			_, err := store.RequestRecall(t.Context(), h.ID, x.requests(h, nil, ""), time.Hour, holdstore.Actor{By: "test"})
			return err
		})
	}
	var domains []string
	for range 3 {
		var asked holdstore.Request
		if err := claimed(t, store).Read(&asked); err != nil {
			t.Fatal(err)
		}
		domains = append(domains, asked.Domain)
	}
	if !slices.Contains(domains[:2], "far.test") || domains[2] == "far.test" {
		t.Errorf("the first requests are for %v", domains)
	}
}

// Whoever asks types the IDs of a request and of its mail. A colleague who was first with them keeps nobody's recall
// from being done.
func TestNobodysOrderIsTakenForAColleagues(t *testing.T) {
	o := Order{RequestID: "X", CommandID: "<c@corp.test>", MessageID: "<1@corp.test>", From: "anna@corp.test",
		Recipients: []string{"bert@far.test"}}
	for what, other := range map[string]func(*Order){
		"message":    func(o *Order) { o.MessageID = "<2@corp.test>" },
		"author":     func(o *Order) { o.From = "mallory@corp.test" },
		"request":    func(o *Order) { o.RequestID, o.CommandID = "X<c", "@corp.test>" },
		"recipients": func(o *Order) { o.Recipients = []string{"bert@far.test", "carl@far.test"} },
	} {
		another := o
		if other(&another); another.job() == o.job() {
			t.Errorf("an order with another %s is taken for the same", what)
		}
	}
	again := o
	if again.From = "Anna@CORP.test"; again.job() != o.job() {
		t.Error("the same order is taken for another")
	}
}

package sender

import (
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

func TestWhoIsOneOfOurOwnPeople(t *testing.T) {
	domains, err := policy.ParsePatterns([]string{"*.group.test", "group.test"})
	if err != nil {
		t.Fatal(err)
	}
	listed := Site{Domains: domains, Addresses: []string{"recall@mail.branch.test"}}
	for _, c := range []struct {
		people                 Site
		login, sender, gateway string
		want                   bool
	}{
		{listed, "", "alice@partner.test", "gw.corp.test", false},
		{listed, "alice", "alice@partner.test", "gw.corp.test", true},
		{listed, "", "anna@corp.test", "gw.corp.test", true},
		{listed, "", "anna@CORP.test", "GW.corp.test", true},
		{listed, "", "anna@sales.corp.test", "mx.corp.test", true},
		{listed, "", "anna@branch.test", "gw.corp.test", true},
		{listed, "", "anna@group.test", "gw.corp.test", true},
		{listed, "", "anna@de.group.test", "gw.corp.test", true},
		{listed, "", "anna@notcorp.test", "gw.corp.test", false},
		{Site{}, "", "anna@corp.test", "gw.corp.test", true},
		{Site{}, "", "alice@partner.test", "gw.corp.test", false},
		{Site{}, "", "a@one.co.uk", "gw.two.co.uk", false},
		{Site{}, "", "root@gw", "gw", true},
		{Site{}, "", "root", "gw", false},
		{Site{}, "", "alice@partner.test", "", false},
	} {
		sub := &holdstore.Submission{Login: c.login, Sender: holdstore.Path{Address: c.sender}, Gateway: c.gateway}
		if got := c.people.Has(sub); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The name of whoever sent a message says what is known of them, and no more.
func TestASenderIsNamedByWhatTheMTAProved(t *testing.T) {
	t.Parallel()
	for want, sub := range map[string]holdstore.Submission{
		"login anna": {Login: "Anna", Sender: holdstore.Path{Address: "anna@corp.test"}},
		"<anna@corp.test> from 192.0.2.1": {Sender: holdstore.Path{Address: "anna@Corp.test"},
			Client: holdstore.Client{Address: "192.0.2.1"}},
		"<anna@corp.test>": {Sender: holdstore.Path{Address: "anna@corp.test"}}, // sendmail on the gateway
	} {
		if got := Name(sub); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

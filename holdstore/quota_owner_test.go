package holdstore

import (
	"strings"
	"testing"
)

// An owner is somebody who can't become another one: with other case, another sender, or another address of the same
// machine.
func TestNobodyIsManyOwners(t *testing.T) {
	owner := func(login, client, sender string) string {
		sub := Submission{Login: login, Client: Client{Address: client}, Sender: Path{Address: sender}}
		owner, _, _ := strings.Cut(ownerOf(&sub, Terms{Rule: "default"}), "@") // the sender behind it has a part of its own
		return owner
	}
	for name, same := range map[string][][3]string{
		"a login in any case, from anywhere": {{"mallory", "192.0.2.1", "m@x.test"}, {"MALLORY", "2001:db8::1", "n@x.test"}},
		"a client with any sender": {{"", "192.0.2.1", "m@x.test"}, {"", "192.0.2.1", "m+1@x.test"},
			{"", "::ffff:192.0.2.1", ""}},
		"the addresses of a network": {{"", "2001:db8:0:1::1", ""}, {"", "2001:db8:0:1:ffff::1", ""},
			{"", "2001:DB8:0:1::2", ""}},
		"programs on the gateway": {{"", "", "root@x.test"}, {"", "", "www@x.test"}},
	} {
		all := map[string]bool{}
		for _, s := range same {
			all[owner(s[0], s[1], s[2])] = true
		}
		if len(all) != 1 || all[""] {
			t.Errorf("%s: %v", name, all)
		}
	}
	others := map[string]bool{owner("", "192.0.2.1", ""): true, owner("", "192.0.2.2", ""): true,
		owner("", "2001:db8:0:1::1", ""): true,
		owner("", "2001:db8:0:2::1", ""): true, owner("", "", ""): true, owner("192.0.2.1", "", ""): true}
	if len(others) != 6 {
		t.Errorf("different ones are one owner: %v", others)
	}
	if got := ownerOf(&Submission{Client: Client{Address: "192.0.2.1"}}, Terms{Rule: OwnMailRule}); got != "" {
		t.Errorf("a mail of the gateway is charged to %q", got)
	}
}

// Every owner has senders behind it, of whom none takes all: nothing that a sender can type makes them the only one.
func TestEveryOwnerHasSendersBehindIt(t *testing.T) {
	for name, c := range map[string]struct {
		sub  Submission
		want bool
	}{
		"a client": {Submission{Client: Client{Address: "192.0.2.1"}, Sender: Path{Address: "m@x.test"}},
			true},
		"a client, the null sender":   {Submission{Client: Client{Address: "192.0.2.1"}}, false},
		"the login of a groupware":    {Submission{Login: "groupware", Sender: Path{Address: "m@x.test"}}, true},
		"a login that is the address": {Submission{Login: "M@x.test", Sender: Path{Address: "m@X.test"}}, true},
		"a login that is its name":    {Submission{Login: "M", Sender: Path{Address: "m@x.test"}}, true},
	} {
		if got := strings.Contains(ownerOf(&c.sub, Terms{}), "@"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

package holdstore

import (
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	at := idEpoch.Add(300 * 24 * time.Hour)
	first, second := newID(at), newID(at.Add(time.Millisecond))
	if first >= second {
		t.Errorf("%s is not before %s", first, second)
	}
	if got, ok := canonicalID(strings.ToLower(first)); !ok || got != first {
		t.Errorf("lower case of %s: %s, %v", first, got, ok)
	}
	for _, bad := range []string{"", first[1:], first + "2", "0" + first[1:], "I" + first[1:], first[:12] + "*", first[:6] + "!" + first[7:]} {
		if _, ok := canonicalID(bad); ok {
			t.Errorf("%q passes for an ID", bad)
		}
	}
}

func TestIndexEntries(t *testing.T) {
	if got := indexText("s", "Alice@Corp.test"); got != "s:alice@corp.test" {
		t.Error(got)
	}
	if got := indexText("m", "<A@b>"); got != "m:<A@b>" {
		t.Error(got)
	}
	if got := indexText("r", strings.Repeat("x", 1000)); len(got) > 64 {
		t.Error(got)
	}
}

// A login stands for its sender only where a search for the sender looks.
func TestOwners(t *testing.T) {
	for login, want := range map[string]string{"": "sam@corp.test ", "SAM": "SAM", "Sam@corp.test": "Sam@corp.test", "bob": "sam@corp.test bob",
		"ſam": "sam@corp.test ſam"} { // in other ways of folding, ſ is s
		sub := Submission{Sender: Path{Address: "sam@corp.test"}, Login: login}
		if got := strings.Join(sub.owners(), " "); got != want {
			t.Errorf("login %q: %q, want %q", login, got, want)
		}
	}
}

package holdstore

import (
	"strings"
	"testing"
)

func TestIndexEntries(t *testing.T) {
	if got := indexText("s", "Alice@Corp.test"); got != "s:alice@corp.test" {
		t.Error(got)
	}
	if got := indexText("m", "<A@b>"); got != "m:<a@b>" {
		t.Error(got)
	}
	if got := indexText("r", strings.Repeat("x", 1000)); len(got) > 64 {
		t.Error(got)
	}
}

// A login stands for its sender only where a search for the sender looks.
func TestOwners(t *testing.T) {
	for login, want := range map[string]string{"": "sam@corp.test ", "SAM": "SAM", "Sam@corp.test": "Sam@corp.test",
		"bob": "sam@corp.test bob",
		"ſam": "sam@corp.test ſam"} { // in other ways of folding, ſ is s
		sub := Submission{Sender: Path{Address: "sam@corp.test"}, Login: login}
		if got := strings.Join(sub.owners(), " "); got != want {
			t.Errorf("login %q: %q, want %q", login, got, want)
		}
	}
}

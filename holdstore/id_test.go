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

package holdid

import (
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	at := epoch.Add(300 * 24 * time.Hour)
	first, second := New(at), New(at.Add(time.Millisecond))
	if first >= second {
		t.Errorf("%s is not before %s", first, second)
	}
	if got, ok := Parse(strings.ToLower(first)); !ok || got != first {
		t.Errorf("lower case of %s: %s, %v", first, got, ok)
	}
	for _, bad := range []string{"", first[1:], first + "2", "0" + first[1:], "I" + first[1:], first[:12] + "*",
		first[:6] + "!" + first[7:]} {
		if _, ok := Parse(bad); ok {
			t.Errorf("%q passes for an ID", bad)
		}
	}
}

package postfix

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "0s": 0, "1s": time.Second, "5": 5 * time.Second,
		"2m": 2 * time.Minute, "1d": 24 * time.Hour} {
		if got, ok := Duration(text); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "s", "1sm", "$x", "1 s"} {
		if _, ok := Duration(text); ok {
			t.Errorf("%q was taken for a time", text)
		}
	}
}

func TestWhoDialsComesOutWhereItListens(t *testing.T) {
	for _, c := range []struct {
		dialed, listens string
		want            bool
	}{
		{"localhost:8890", "127.0.0.1:8890", true}, {"127.0.0.1:8890", "0.0.0.0:8890", true},
		{"[::1]:8890", "[::]:8890", true},
		{"127.0.0.1:8891", "127.0.0.1:8890", false}, {"192.0.2.1:8890", "0.0.0.0:8890", false},
		{"127.0.0.1:smtp", "127.0.0.1:25", true},
		{"127.0.0.1", "127.0.0.1:25", false},
	} {
		if got := SameHostPort(c.dialed, c.listens); got != c.want {
			t.Errorf("%s to %s: %v", c.dialed, c.listens, got)
		}
	}
}

// FuzzMilters: whatever a list of milters says, reading it ends, and names no more entries than it has words.
func FuzzMilters(f *testing.F) {
	f.Add("{ inet:localhost:8891, default_action=accept, { a = b } }, unix:/x")
	f.Add("}{,{}")
	f.Fuzz(func(t *testing.T, list string) {
		if n := len(Milters(list)); n > len(list) {
			t.Errorf("%d milters in %q", n, list)
		}
	})
}

package policy

import (
	"strings"
	"testing"
	"time"
)

// shelfOfGraces is a map in a file.
type shelfOfGraces map[string]string

func (s shelfOfGraces) Name() string { return "graces" }

func (s shelfOfGraces) Grace(key string) (string, int) { return s[key], len(s[key]) }

func TestAMapOfGracesIsAskedFromTheAddressToAll(t *testing.T) {
	t.Parallel()
	of := func(g Graces) *Outbound {
		return NewOutbound(Options{Authenticated: true, Grace: 2 * time.Minute, MaxGrace: time.Hour,
			ParseDuration: time.ParseDuration, Rules: []Rule{{Name: "map", Graces: g}}})
	}
	f := Facts{Login: "a", Sender: "Anna@Corp.test", Recipients: []string{"b@x.test"}}
	for _, c := range []struct {
		entries string
		want    time.Duration
	}{
		{"anna@corp.test=5m @corp.test=1m *=9m", 5 * time.Minute},
		{"bert@corp.test=5m @corp.test=1m *=9m", time.Minute},
		{"bert@corp.test=5m *=9m", 9 * time.Minute},
		{"bert@corp.test=5m", 2 * time.Minute},
		{"@corp.test=default *=9m", 2 * time.Minute},
		{"@corp.test=0s", 0},
		{"anna@corp.test=24h", 24 * time.Hour},
	} {
		file, answers := shelfOfGraces{}, map[string]Answer{"anna@corp.test": missing, "@corp.test": missing, "*": missing}
		for _, e := range strings.Fields(c.entries) {
			key, text, _ := strings.Cut(e, "=")
			file[key], answers[key] = text, Answer{Known: true, Found: true, Text: text}
		}
		if v := settled(t, of(file), f, nil); v.Grace != c.want {
			t.Errorf("%s: %v, want %v", c.entries, v.Grace, c.want)
		}
		// a server's answers are bounded, so that the longest possible is known
		if v := settled(t, of(Socketmap("m")), f, answers); v.Grace != min(c.want, time.Hour) {
			t.Errorf("%s from a socketmap: %v, want %v", c.entries, v.Grace, c.want)
		}
	}
	for name, answers := range map[string]map[string]Answer{"none": nil,
		"nonsense":   {"anna@corp.test": {Known: true, Found: true, Text: "soon"}},
		"not all":    {"anna@corp.test": missing, "*": {Known: true, Found: true, Text: "0s"}},
		"not itself": {"@corp.test": {Known: true, Found: true, Text: "0s"}}} {
		if v := settled(t, of(Socketmap("m")), f, answers); v.Grace != time.Hour {
			t.Errorf("%s: %v: %s", name, v.Grace, v.Reason)
		}
	}
}

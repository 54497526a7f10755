package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestWhoUsedAMessageIDWithoutAHoldIsRemembered(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	// Two uses of one day are one field, which has no moments any more.
	keep, now := 7*24*time.Hour, time.Now().Truncate(unheldDay).Add(-unheldDay/2)
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	err := s.RememberUnheld(t.Context(), []Unheld{
		NewUnheld("<1@corp.test>", "login boss", hour(-30)), NewUnheld("<2@corp.test>", "login boss", hour(-2)),
		NewUnheld("<2@corp.test>", "login mallory", hour(-1)),
		NewUnheld("<3@corp.test>", "login boss", hour(-2)), NewUnheld("<3@corp.test>", "login boss", hour(-1)),
	}, keep)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, by string
		at     time.Time
		want   MessageIDUse
	}{
		"a copy of it":             {"<1@corp.test>", "login mallory", hour(0), MessageIDUse{Before: true}},
		"by the same":              {"<1@corp.test>", "login boss", hour(0), MessageIDUse{}},
		"it came later":            {"<1@corp.test>", "login carl", hour(-31), MessageIDUse{After: true}},
		"two others":               {"<2@corp.test>", "login carl", hour(0), MessageIDUse{Before: true, After: true}},
		"the first of two":         {"<2@corp.test>", "login boss", hour(0), MessageIDUse{After: true}},
		"the second of two":        {"<2@corp.test>", "login mallory", hour(0), MessageIDUse{Before: true, After: true}},
		"twice by the same":        {"<3@corp.test>", "login boss", hour(0), MessageIDUse{}},
		"of another Message-ID":    {"<4@corp.test>", "login mallory", hour(0), MessageIDUse{}},
		"a Message-ID in any case": {"<1@CORP.test>", "login mallory", hour(0), MessageIDUse{Before: true}},
		"without angle brackets":   {"1@corp.test", "login mallory", hour(0), MessageIDUse{Before: true}},
	} {
		if got, err := s.UnheldUse(t.Context(), c.id, c.by, c.at, keep); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	for _, key := range s.nodes.Client.Keys(t.Context(), "*out:*").Val() {
		if left := s.nodes.Client.PTTL(t.Context(), key).Val(); left < keep || left > keep+2*unheldDay {
			t.Errorf("%s ends in %v", key, left)
		}
	}
}

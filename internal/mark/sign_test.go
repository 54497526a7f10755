package mark

import (
	"strings"
	"testing"
	"time"
)

func TestALinkOpensOneHoldUntilItsEnd(t *testing.T) {
	m, now := New([]byte("secret")), time.Unix(1_800_000_000, 0)
	link, _ := m.HoldLink("7K3MPQ2A9BCDE", now.Add(time.Hour))
	session, _ := m.Sign(Session, "7K3MPQ2A9BCDE.zzzzzzz")
	none, _ := (&Marker{}).HoldLink("7K3MPQ2A9BCDE", now)
	for name, c := range map[string]struct {
		link string
		at   time.Time
		m    *Marker
		want bool
	}{
		"genuine":               {link, now, m, true},
		"at its end":            {link, now.Add(time.Hour), m, false},
		"another secret":        {link, now, New([]byte("guess")), false},
		"no secret yet":         {link, now, &Marker{}, false},
		"made without a secret": {none, now, m, false},
		"another hold":          {"8" + link[1:], now, m, false},
		"a later end":           {strings.Replace(link, ".", ".z", 1), now, m, false},
		"for another purpose":   {session, now, m, false},
		"cut off":               {link[:len(link)-1], now, m, false},
		"something behind it":   {link + "A", now, m, false},
		"without a proof":       {"7K3MPQ2A9BCDE", now, m, false},
		"empty":                 {"", now, m, false},
		"a dot":                 {".", now, m, false},
	} {
		hold, ok := c.m.ReadHoldLink(c.link, c.at)
		if ok != c.want || ok && hold != "7K3MPQ2A9BCDE" {
			t.Errorf("%s: %q %v", name, hold, ok)
		}
	}
}

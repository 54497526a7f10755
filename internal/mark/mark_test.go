package mark

import (
	"strings"
	"testing"
)

func TestAMarkVouchesForItsOwnMessageOnly(t *testing.T) {
	m := New([]byte("secret"))
	stamp := m.Stamp("7K3MPQ2A9BCDE", "a@corp.test", "<1@corp.test>")
	last := stamp[:len(stamp)-1] + "?"
	for name, c := range map[string]struct {
		stamp, sender, id string
		marker            *Marker
		want              bool
	}{
		"genuine":        {stamp, "a@corp.test", "<1@corp.test>", m, true},
		"other sender":   {stamp, "b@corp.test", "<1@corp.test>", m, false},
		"other message":  {stamp, "a@corp.test", "<2@corp.test>", m, false},
		"other hold":     {"8" + stamp[1:], "a@corp.test", "<1@corp.test>", m, false},
		"no secret yet":  {stamp, "a@corp.test", "<1@corp.test>", &Marker{}, false},
		"other secret":   {stamp, "a@corp.test", "<1@corp.test>", New([]byte("guess")), false},
		"changed MAC":    {last, "a@corp.test", "<1@corp.test>", m, false},
		"no MAC":         {"7K3MPQ2A9BCDE", "a@corp.test", "<1@corp.test>", m, false},
		"empty":          {"", "", "", m, false},
		"fields shifted": {strings.Replace(stamp, ".", "\x00.", 1), "a@corp.test", "<1@corp.test>", m, false},
	} {
		if got := c.marker.Genuine(c.stamp, c.sender, c.id); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

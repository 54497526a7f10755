package mark

import (
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
)

func TestAMarkVouchesForItsOwnMessageOnly(t *testing.T) {
	m := New([]byte("secret"))
	body, other := []byte("digest of a body"), []byte("digest of another")
	stamp := m.Stamp("7K3MPQ2A9BCDE", body, "prices for May")
	last := stamp[:len(stamp)-1] + "?"
	for name, c := range map[string]struct {
		stamp  string
		body   []byte
		marker *Marker
		want   bool
	}{
		"genuine":        {stamp, body, m, true},
		"other body":     {stamp, other, m, false},
		"other hold":     {"8" + stamp[1:], body, m, false},
		"no secret yet":  {stamp, body, &Marker{}, false},
		"other secret":   {stamp, body, New([]byte("guess")), false},
		"changed MAC":    {last, body, m, false},
		"no MAC":         {"7K3MPQ2A9BCDE", body, m, false},
		"empty":          {"", nil, m, false},
		"fields shifted": {strings.Replace(stamp, ".", "\x00.", 1), body, m, false},
	} {
		if got := c.marker.Genuine(c.stamp, c.body, "prices for May"); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if !IsStamp(stamp) || IsStamp(last) || IsStamp("7K3MPQ2A9BCDE") || IsStamp("4cJd1x3Xkz9") {
		t.Error("a stamp is not known by its form")
	}
}

// A key that is sent for one message, one copy or one domain opens no other lock: its own recipient may read it.
func TestACancelKeyOpensOneHoldForOneDomain(t *testing.T) {
	m := New([]byte("secret"))
	domains := []string{"far.test", "partner.test", "far.test"}
	locks := m.CancelLocks("7K3MPQ2A9BCDE", "<1@corp.test>", domains)
	for name, c := range map[string]struct {
		hold, domain, id string
		want             bool
	}{
		"its own":                         {"7K3MPQ2A9BCDE", "far.test", "<1@corp.test>", true},
		"the other domain's":              {"7K3MPQ2A9BCDE", "partner.test", "<1@corp.test>", true},
		"of a copy by somebody else":      {"7K3MPQ2A9BCDF", "far.test", "<1@corp.test>", false},
		"of another message":              {"7K3MPQ2A9BCDE", "far.test", "<2@corp.test>", false},
		"of a domain that did not get it": {"7K3MPQ2A9BCDE", "mallory.test", "<1@corp.test>", false},
		"of no domain":                    {"7K3MPQ2A9BCDE", "", "<1@corp.test>", false},
	} {
		key, ok := m.CancelKey(c.hold, c.domain, c.id)
		if got := cancel.Opens([]cancel.Element{key}, locks); !ok || got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	far, _ := m.CancelKey("7K3MPQ2A9BCDE", "far.test", "<1@corp.test>")
	if alone := m.CancelLocks("7K3MPQ2A9BCDE", "<1@corp.test>", domains[1:2]); cancel.Opens([]cancel.Element{far}, alone) {
		t.Error("the key of one domain opens the lock of another")
	}
}

// Somebody with a blind copy in another domain must not show.
func TestALockDoesNotTellHowManyDomainsThereAre(t *testing.T) {
	m := New([]byte("secret"))
	many := strings.Fields("a.test b.test c.test d.test e.test f.test g.test h.test i.test j.test k.test l.test m.test " +
		"n.test o.test p.test q.test")
	for n, want := range map[int]int{1: 2, 2: 2, 3: 4, 5: 8, 9: 16, 17: 16} {
		locks := m.CancelLocks("7K3MPQ2A9BCDE", "<1@corp.test>", many[:n])
		if len(locks) != want ||
			!slices.IsSortedFunc(locks, func(a, b cancel.Element) int { return strings.Compare(a.Value, b.Value) }) {
			t.Errorf("%d domains: %d elements, in an order that tells", n, len(locks))
		}
	}
	if got := (&Marker{}).CancelLocks("7K3MPQ2A9BCDE", "<1@corp.test>", many); got != nil {
		t.Errorf("without a secret: %v", got)
	}
}

func TestNothingMadeForOnePurposeServesAnother(t *testing.T) {
	m := New([]byte("secret"))
	token, _ := m.Token("7K3MPQ2A9BCDE", "digest of a body")
	stamp := m.Stamp("7K3MPQ2A9BCDE", []byte("digest of a body"), "")
	if _, mac, _ := strings.Cut(stamp, "."); strings.HasPrefix(token, mac) {
		t.Error("a token is a mark")
	}
	made := map[string]bool{"secret": true}
	for _, k := range [][]byte{m.keys.Load().mark, m.keys.Load().lock, m.keys.Load().token} {
		made[string(k)] = true
	}
	if len(made) != 4 {
		t.Error("two purposes have one key")
	}
	key, _ := m.CancelKey("a", "b", "c")
	if key == cancel.Key([]byte("secret"), "a\nb\n", "c") {
		t.Error("a key is made of the secret itself")
	}
}

// Filters tag a subject; whoever copies a mark gets no other subject past the hold with it, but for a few words.
func TestAMarkVouchesForItsSubject(t *testing.T) {
	m, body := New([]byte("secret")), []byte("digest")
	long := strings.Repeat("a long subject with many words ", 30)
	for _, c := range []struct {
		was, is string
		want    bool
	}{
		{"prices for May", "prices for May", true}, {"prices for May", " prices\tfor  May ", true},
		{"prices for May", "[EXTERNAL] prices for May", true}, {"prices for May", "*** SPAM *** prices for May", true},
		{"prices for May", "prices for May [list]", true}, {"prices for May", "[a] prices for May (b)", true},
		{"prices for May", "prices for June", false}, {"prices for May", "prices for", false}, {"prices for May", "", false},
		{"prices for May", "prices of all for May", false},
		{"prices for May", "there are five words before prices for May", false},
		{"", "", true}, {"", "[EXTERNAL]", true}, {"", "you owe me five hundred", false},
		{long, "[EXTERNAL] " + long, true}, {long, "another" + long, false},
		{strings.Repeat("価", 400), "[EXT] " + strings.Repeat("価", 300), true},
	} {
		if got := m.Genuine(m.Stamp("7K3MPQ2A9BCDE", body, c.was), body, c.is); got != c.want {
			t.Errorf("%.40q vouches for %.40q: %v", c.was, c.is, got)
		}
	}
}

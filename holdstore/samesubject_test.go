package holdstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// rememberedOf lets messages of one sender with one subject come in, in order, and returns which are still found by
// subject, the newest first.
func rememberedOf(t *testing.T, s *Store, ways []Way) (found []string) {
	t.Helper()
	at := time.Now()
	var all []Remembered
	for n, w := range ways {
		all = append(all,
			Remembered{MessageID: fmt.Sprintf("<%d@%s>", n, w.Client), From: "anna@far.test",
				Subjects:   []string{"the price list"},
				Recipients: []string{"bert@corp.test"}, Ways: []Way{w}, At: at.Add(time.Duration(n) * time.Millisecond)})
	}
	for some := range slices.Chunk(all, 100) {
		server.Eventually(t, "it is remembered", func() bool { return s.Remember(t.Context(), some, time.Hour) == nil })
	}
	server.Eventually(t, "it is found", func() bool {
		got, err := s.FindRemembered(t.Context(), "anna@far.test", "", "the price list", nil)
		found = nil
		for _, r := range got {
			found = append(found, r.MessageID)
		}
		return err == nil
	})
	return found
}

// from makes ways from one network, each from another address of it.
func from(network string, n int) (ways []Way) {
	for i := range n {
		ways = append(ways, Way{Client: fmt.Sprintf(network, i%250)})
	}
	return ways
}

// networks makes ways from as many IPv6 networks of 48 bits.
func networks(n int) (ways []Way) {
	for i := range n {
		ways = append(ways, Way{Client: fmt.Sprintf("2001:db8:%x::1", i)})
	}
	return ways
}

// Whoever types somebody's address and subject, before or after them, pushes none of their messages out of what a
// recall can mean.
func TestAFloodPushesNoOtherNetworksMessagesOut(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t, "--appendfsync", "no")
	s := open(t, redis.Addr)
	genuine, flood := from("192.0.2.%d", 20), from("198.51.100.%d", 2000)
	believed := []Way{{Client: "192.0.2.1", Aligned: true}}
	for name, c := range map[string]struct {
		ways []Way
		own  string // prefix of the client's address, in the found messages
		kept int
	}{
		"a flood after it":  {slices.Concat(genuine, flood), "192.0.2.", 20},
		"a flood before it": {slices.Concat(flood, genuine), "192.0.2.", 20},
		"from 200 networks": {slices.Concat(networks(200), genuine[:1], networks(200), flood),
			"192.0.2.", 1},
		"from 2000 networks, and it came first":    {slices.Concat(genuine[:1], networks(2000)), "192.0.2.", 1},
		"from 2000 networks, and it is believed":   {slices.Concat(networks(2000), believed, networks(2000)), "192.0.2.", 1},
		"from its own network, and it is believed": {slices.Concat(believed, from("192.0.3.%d", 10), flood), "192.0.2.", 1},
		"no flood": {from("192.0.2.%d", 250), "192.0.2.", 250},
	} {
		redis.Do("FLUSHALL")
		found := rememberedOf(t, s, c.ways)
		kept := 0
		for _, id := range found {
			if strings.Contains(id, "@"+c.own) {
				kept++
			}
		}
		if kept != c.kept || len(found) > maxSameSubject+sameSubjectSlack+100 {
			t.Errorf("%s: %d of its messages are found, want %d, among %d", name, kept, c.kept, len(found))
		}
	}
}

func TestWhatGoesOutOfAFullRoom(t *testing.T) {
	name := func(origin string, n int) string {
		return strings.Repeat("s", digestLen) + origin + fmt.Sprintf("%0*d", digestLen, n)
	}
	a, b, own, old := func(n int) string { return name("aaaa", n) }, func(n int) string { return name("bbbb", n) },
		func(n int) string { return name(ownOrigin, n) }, func(n int) string { return name("", n) }
	other := func(n int) string { return strings.Replace(own(n), "sssssssss", "ttttttttt", 1) }
	for what, c := range map[string]struct {
		members []string
		most    int
		want    []string
	}{
		"room enough":                            {[]string{a(1), b(2)}, 2, nil},
		"nothing":                                {nil, 0, nil},
		"the oldest of the largest":              {[]string{a(1), b(2), b(3), b(4)}, 2, []string{b(2), b(3)}},
		"of two, who came later":                 {[]string{a(1), b(2), a(3), b(4)}, 3, []string{b(2)}},
		"of two senders' own, the one with more": {[]string{other(1), own(2), own(3)}, 2, []string{own(2)}},
		"the sender's own last":                  {[]string{own(1), own(2), a(3), own(4)}, 2, []string{a(3), own(1)}},
		"of older versions":                      {[]string{old(1), old(2), a(3)}, 2, []string{old(1)}},
	} {
		if got := surplus(c.members, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

func TestOriginsOfMessages(t *testing.T) {
	same := func(a, b string) bool { return origin([]Way{{Client: a}}) == origin([]Way{{Client: b}}) }
	if !same("192.0.2.1", "192.0.2.200") || same("192.0.2.1", "192.0.3.1") || !same("::ffff:192.0.2.1", "192.0.2.9") ||
		!same("2001:db8:1::1", "2001:db8:1:ffff::2") || same("2001:db8:1::1", "2001:db8:2::1") ||
		!same("fe80::1%eth0", "fe80::2") {
		t.Error("networks are not told apart, or one is taken for two")
	}
	for _, ways := range [][]Way{nil, {{}}, {{Client: "unknown"}}} {
		if got := origin(ways); got != "" {
			t.Errorf("%v comes from %q", ways, got)
		}
	}
	if got := origin([]Way{{Client: "192.0.2.1", Aligned: true}}); got != ownOrigin {
		t.Errorf("the sender's own comes from %q", got)
	}
}

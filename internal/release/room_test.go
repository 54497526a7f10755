package release

import (
	"strings"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// loopTo is a loop that is not running.
func loopTo(p *port) *Loop {
	return New(&memory{}, mark.New([]byte("secret")), &notes{}, Options{SMTP: p.addr})
}

func TestWhatThePortMayRefuseIsTooLarge(t *testing.T) {
	one := holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}
	many := one
	for range 1000 {
		many.Recipients = append(many.Recipients,
			holdstore.Path{Address: "somebody@x.test", Args: []string{"ORCPT=rfc822;somebody@x.test"}})
	}
	for name, c := range map[string]struct {
		sub    holdstore.Submission
		offers string
		size   int64
		large  bool
	}{
		"far below the limit":       {one, "SIZE 1000000", 900000, false},
		"just below it":             {one, "SIZE 1000000", 990000, true},
		"many recipients":           {many, "SIZE 1000000", 900000, true},
		"what every server takes":   {one, "SIZE 10", 40000, false},
		"a small limit":             {one, "SIZE 10", 60000, true},
		"no limit":                  {one, "SIZE 0", 1 << 40, false},
		"nothing said of size":      {one, "DSN", 1 << 40, false},
		"nothing that makes sense":  {one, "SIZE 1x", 1 << 40, false},
		"a limit below all numbers": {one, "SIZE -5", 1 << 40, false},
	} {
		p := startPort(t, nil, c.offers)
		if why := loopTo(p).TooLarge(c.sub, c.size); (why != "") != c.large {
			t.Errorf("%s: %q", name, why)
		}
	}
}

func TestThePortIsAskedOnceForManyMessages(t *testing.T) {
	p := startPort(t, nil, "SIZE 100000")
	l := loopTo(p)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if l.TooLarge(holdstore.Submission{}, 99000) == "" {
				t.Error("it fits")
			}
		})
	}
	wg.Wait()
	if n := p.asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestAReleaseHearsTheLimitAsWell(t *testing.T) {
	p := startPort(t, nil, "SIZE 100000")
	s, log := attempted(t, &memory{content: message}, p, claim("b@x.test"))
	if why := s.loop.TooLarge(holdstore.Submission{}, 99000); !strings.Contains(why, "the limit is 100000") ||
		p.asked() != 1 {
		t.Errorf("%q after %d connections\n%s", why, p.asked(), log.text())
	}
}

// Nothing can be released then, and nothing says that this message could not be when the port is back.
func TestAPortThatNeverAnsweredHasNoLimit(t *testing.T) {
	for name, p := range map[string]*port{
		"closed":  {addr: "127.0.0.1:1"},
		"refuses": startPort(t, func(int, string) string { return "554 no" }, "SIZE 10"),
		"goes":    startPort(t, func(int, string) string { return closes }, "SIZE 10"),
	} {
		if why := loopTo(p).TooLarge(holdstore.Submission{}, 1<<40); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}

func TestAPortThatAnswersNoMoreKeepsItsLimit(t *testing.T) {
	p := startPort(t, func(session int, _ string) string {
		if session > 1 {
			return closes
		}
		return ""
	}, "SIZE 100000")
	l := loopTo(p)
	for range 2 {
		l.limits[l.o.SMTP].asked = l.limits[l.o.SMTP].asked.Add(-believed)
		if why := l.TooLarge(holdstore.Submission{}, 99000); why == "" {
			t.Error("its limit is forgotten")
		}
	}
	if n := p.asked(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

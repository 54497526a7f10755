package milter

import (
	"context"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/policy"
)

// watch looks at as much of a body as X-Body says.
type watch struct {
	judged     []*inbound.Mail
	remembered int
}

func (w *watch) Examine(m *inbound.Mail) inbound.Needs {
	return inbound.Needs{Body: map[string]int{"": 0, "hidden": outlook.MaxWinmail,
		"marked": mailmsg.MaxBody}[first(m.Fields,
		"X-Body")]}
}

func (w *watch) Judge(_ context.Context, m *inbound.Mail) inbound.Disposition {
	w.judged = append(w.judged, m)
	return inbound.Disposition{}
}

func (w *watch) Remember(*inbound.Mail) { w.remembered++ }

// Most mail that Exchange sends could have a winmail.dat: little of its body is kept, and what is larger is ordinary.
func TestLittleIsKeptOfWhatOnlyItsBodyMakesARecall(t *testing.T) {
	const piece = 60 << 10
	for name, c := range map[string]struct {
		marks  string
		pieces int
		kept   int // pieces in memory at the end; -1: it is ordinary mail
		cut    bool
	}{
		"small":              {"hidden", 2, 2, false},
		"large":              {"hidden", 5, -1, false},
		"marked":             {"marked", 5, 5, false},
		"marked, very large": {"marked", 19, 17, true},
	} {
		bubble(t, func(r *rig) {
			w := &watch{}
			r.Inbound = w
			r.Policy = func() Policy {
				return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
			}
			m := r.mta()
			m.begin("x@evil.test", "bert@corp.test")
			m.header('c', "X-Body: "+c.marks)
			for range c.pieces {
				m.ask('B', strings.Repeat("x", piece), 'c')
			}
			m.ask('E', "", 'a')
			switch {
			case c.kept < 0 && len(w.judged) > 0, w.remembered != 1:
				t.Errorf("%s: judged %d, remembered %d", name, len(w.judged), w.remembered)
			case c.kept >= 0 && (len(w.judged) != 1 || len(w.judged[0].Body) != c.kept*piece || w.judged[0].Cut != c.cut):
				t.Errorf("%s: judged %+v", name, w.judged)
			}
		})
	}
}

// What leaves is held whole, however little of it is kept for a look.
func TestLittleIsKeptOfWhatLeaves(t *testing.T) {
	withClerk(t, func(r *rig, c *clerk) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "X-Command: yes")
		for range 5 {
			m.ask('B', strings.Repeat("x", 60<<10), 'c')
		}
		m.ask('E', "", 'd')
		if len(c.got) != 1 || !c.got[0].Cut || len(c.got[0].Body) > outlook.MaxWinmail ||
			r.store.holds[0].body.Len() != 5*60<<10 {
			t.Errorf("the desk got %+v, held are %d bytes", c.got, r.store.holds[0].body.Len())
		}
	})
}

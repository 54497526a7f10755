package milter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/recall-milter/recall-milter/policy"
)

// An MTA that does not wait hears each verdict where it waits next, and the same as one that does.
func TestAQuickMTAHearsEachVerdictWhereItWaits(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.quickMTA()
		m.message("one@corp.test", 'd')

		m.ask('M', "<>\x00", 'c') // passes, as its first recipient shows
		m.ask('R', "<b@x.test>\x00", 'a')
		m.message("two@corp.test", 'd')

		m.send('M', "<a@corp.test>\x00"+strings.Repeat("X=Y\x00", maxArgs+1)) // can't be held: for any recipient
		m.ask('R', "<b@x.test>\x00", 'y')
		m.ask('R', "<c@x.test>\x00", 'y')
		m.abort()
		m.message("three@corp.test", 'd')

		if len(r.store.holds) != 3 || r.log.count("skipped") != 1 || r.log.count("deferred") != 1 {
			t.Errorf("%d holds, log %q", len(r.store.holds), r.log.lines)
		}
	})
}

// What happens in a body is said at its end, also when nobody waited for it.
func TestAQuickMTAHearsAtTheEndWhatBecameOfABody(t *testing.T) {
	bubble(t, func(r *rig) {
		m, well := r.quickMTA(), r.store.onWrite
		piece := strings.Repeat("x", 1000)
		end := func(want byte) {
			t.Helper()
			m.begin("a@corp.test", "b@x.test")
			m.header('c', "Subject: x")
			for range 3 {
				m.ask('B', piece, 'c')
			}
			m.ask('E', "", want)
		}
		end('d')
		r.store.onWrite = func(context.Context) error { return errors.New("away") }
		end('y')
		r.store.onWrite = func(context.Context) error { panic("a defect") }
		end('y')
		r.store.onWrite, r.MaxSize = well, 2500
		end('a')
		m.message("next@corp.test", 'd')
		if len(r.store.holds) != 2 {
			t.Errorf("%d holds", len(r.store.holds))
		}
	})
}

// A message whose verdict the MTA has not heard yet is under way: a daemon that ends waits for it.
func TestAQuickMTAHearsItsVerdictWhileTheDaemonEnds(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Policy = func() Policy {
			return verdicts(func(f policy.Facts) policy.Verdict {
				return policy.Verdict{Certain: true, Reason: policy.Reason{Code: policy.Inbound, Text: "inbound"}}
			})
		}
		m := r.quickMTA()
		m.ask('M', "<a@corp.test>\x00", 'c')
		r.drain()
		synctest.Wait()
		m.ask('R', "<b@x.test>\x00", 'a')
	})
}

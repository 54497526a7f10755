package milter

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// large sends a message whose header has so many MiB, up to the end of the headers, and returns the answer to that.
func (m *mta) large(n, mib int) byte {
	m.begin("a@corp.test", "b@x.test")
	m.send('L', "Message-ID", fmt.Sprintf("<large%d@corp.test>", n)+"\x00")
	for i := range 2 * mib {
		m.send('L', fmt.Sprint("X-", i), strings.Repeat("x", 512<<10)+"\x00")
	}
	m.send('N', "")
	return m.reply().code
}

// Many messages with a large header at once wait for each other, and all are held; the room that they had is there
// again.
func TestLargeHeadersWaitForRoom(t *testing.T) {
	bubble(t, func(r *rig) {
		var wg sync.WaitGroup
		for n := range 12 {
			m := r.mta()
			wg.Go(func() {
				if code := m.large(n, 9); code != 'c' {
					t.Errorf("message %d: %q", n, code)
				}
				m.ask('E', "", 'd')
			})
		}
		wg.Wait()
		synctest.Wait()
		r.allFree()
	})
}

// allFree says that nothing has room any more.
func (r *rig) allFree() {
	r.t.Helper()
	room := r.Server.room(&message{})
	for n, places := range room.places {
		if !places.TryAcquire(sizes[n].leaving) {
			r.t.Errorf("a message that has ended still has a place of %d bytes", sizes[n].bytes)
		}
	}
	if room.envelopes.used != 0 {
		r.t.Errorf("envelopes that have ended still have %d bytes", room.envelopes.used)
	}
}

// Many bodies of possible commands that grow at the same time never wait for each other in a circle: each of them gets
// its verdict at once.
func TestCommandsThatGrowTogetherDoNotStopEachOther(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Policy = func() Policy {
			return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
		}
		asked := make(chan struct{})
		close(asked)
		r.Inbound = slowGate{asked}
		began := time.Now()
		var wg sync.WaitGroup
		for range 60 {
			m := r.mta()
			wg.Go(func() {
				m.begin("x@far.test", "bert@corp.test")
				m.header('c', "From: x@far.test")
				for range 15 {
					m.send('B', strings.Repeat("x", 64<<10))
					m.reply()
				}
				m.ask('E', "", 'a')
			})
		}
		wg.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("they waited %v for each other", took)
		}
	})
}

// A client that names tens of thousands of recipients, and then does nothing, leaves room for everybody: small messages
// go as always, and what is large has to go in several.
func TestLargeEnvelopesLeaveRoomForOthers(t *testing.T) {
	bubble(t, func(r *rig) {
		named := func(n int) (m *mta, taken int) {
			m = r.mta()
			m.ask('M', "<a@corp.test>\x00", 'c')
			for i := range n {
				m.send('R', fmt.Sprintf("<%s%d@x.test>\x00", strings.Repeat("r", 240), i))
				if m.reply().code == 'c' {
					taken++
				}
			}
			return m, taken
		}
		var all []*mta
		for range 8 {
			m, taken := named(30_000)
			all = append(all, m)
			if len(all) == 1 && taken != 30_000 {
				t.Errorf("a single one may have %d recipients", taken)
			}
		}
		if used := r.Server.room(&message{}).envelopes.used; used > envelopesLeaving {
			t.Errorf("%d of %d bytes are used", used, envelopesLeaving)
		}
		m, taken := named(100)
		if taken != 100 {
			t.Errorf("a small message may have %d recipients", taken)
		}
		m.header('c', "Message-ID: <1@corp.test>")
		m.ask('E', "", 'd')
		for _, m := range all {
			m.abort()
		}
		synctest.Wait()
		r.allFree()
	})
}

// An MTA that defines macros without end does not fill the memory, and none of what it says is left out unseen.
func TestMacrosAreBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, size := range []int{10, 10_000} {
			m := r.mta()
			for n := range maxMacros {
				m.send('D', "M", fmt.Sprintf("{m%d}", n), strings.Repeat("x", size))
			}
			if m.send('M', "<a@corp.test>\x00"); m.reply().code != 0 {
				t.Errorf("the session goes on after %d macros of %d bytes", maxMacros, size)
			}
		}
		m := r.mta()
		for range 1000 { // of one message after the other
			m.send('D', "M", "i", strings.Repeat("x", 1000), "{auth_authen}", "anna")
			m.ask('M', "<a@corp.test>\x00", 'c')
			m.abort()
		}
	})
}

// While messages that never end have all the room, a large one is left with its client after a while, and small ones
// are held.
func TestAMessageForWhichThereIsNoRoomIsRefusedForNow(t *testing.T) {
	bubble(t, func(r *rig) {
		if code := r.mta().large(1, 9); code != 'c' {
			t.Fatalf("%q", code)
		}
		m := r.mta()
		began := time.Now()
		if code := m.large(4, 9); code != 'y' || time.Since(began) < roomTime {
			t.Errorf("after %v: %q", time.Since(began), code)
		}
		r.mta().message("small@corp.test", 'd')
		if r.log.count("deferred too much mail") != 1 {
			t.Errorf("the log says %s", r.log.lines)
		}
	})
}

// What comes in has a room of its own: strangers whose messages wait for an answer of their DNS keep no user's mail
// waiting.
func TestStrangersTakeNoRoomOfMailThatLeaves(t *testing.T) {
	bubble(t, func(r *rig) {
		asked := make(chan struct{})
		r.Policy = func() Policy {
			return verdicts(func(f policy.Facts) policy.Verdict {
				if strings.HasSuffix(f.Sender, "@evil.test") {
					return policy.Verdict{Inbound: true}
				}
				return holdAll(f)
			})
		}
		r.Inbound = slowGate{asked}
		for range 60 {
			m := r.mta()
			go func() {
				m.begin("x@evil.test", "bert@corp.test")
				m.send('L', "From", " x@evil.test\x00")
				m.ask('N', "", 'c')
				for range 15 {
					m.send('B', strings.Repeat("x", 64<<10))
					m.reply()
				}
				m.send('E', "")
			}()
		}
		synctest.Wait()
		began := time.Now()
		m := r.mta()
		if code := m.large(1, 9); code != 'c' || time.Since(began) > time.Second {
			t.Errorf("after %v: %q", time.Since(began), code)
		}
		m.ask('E', "", 'd')
		close(asked)
	})
}

// slowGate takes all mail for commands, and judges none before asked is closed.
type slowGate struct{ asked chan struct{} }

func (g slowGate) Examine(*inbound.Mail) inbound.Needs { return inbound.Needs{Body: mailmsg.MaxBody} }
func (g slowGate) Judge(context.Context, *inbound.Mail) inbound.Disposition {
	<-g.asked
	return inbound.Disposition{}
}
func (g slowGate) Remember(*inbound.Mail) {}

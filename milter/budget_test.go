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
		if !r.Server.room(&message{}).TryAcquire(underWay) {
			t.Error("messages that have ended still have room")
		}
	})
}

// While messages that never end have all the room, a large one is left with its client after a while, and small ones
// are held.
func TestAMessageForWhichThereIsNoRoomIsRefusedForNow(t *testing.T) {
	bubble(t, func(r *rig) {
		for n := range 2 {
			if code := r.mta().large(n, 9); code != 'c' {
				t.Fatalf("message %d: %q", n, code)
			}
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
		for range underWay/mailmsg.MaxBody + 20 {
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

func (g slowGate) Look(*inbound.Mail) inbound.Look { return inbound.Look{Body: mailmsg.MaxBody} }
func (g slowGate) Judge(context.Context, *inbound.Mail) inbound.Ruling {
	<-g.asked
	return inbound.Ruling{}
}
func (g slowGate) Remember(*inbound.Mail) {}

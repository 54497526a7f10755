package milter

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

func TestSeveralMessagesPerConnectionWhateverTheAborts(t *testing.T) {
	for aborts := range 3 {
		bubble(t, func(r *rig) {
			m := r.mta()
			for n := range 3 {
				m.message(fmt.Sprintf("m%d@corp.test", n), 'd')
				for range aborts {
					m.abort()
				}
			}
			m.send('Q')
			m.reply()
			if len(r.store.holds) != 3 || len(r.store.confirmed) != 3 {
				t.Errorf("%d aborts: %d holds, %d confirmed, want 3 and 3", aborts, len(r.store.holds), len(r.store.confirmed))
			}
			for n, h := range r.store.holds {
				want := fmt.Sprintf("Message-ID: <m%d@corp.test>\r\nSubject: the price list\r\n\r\nbody of m%d@corp.test\r\n", n, n)
				if h.text() != want || len(h.sub.Recipients) != 1 || h.sub.Client.Address != "192.0.2.7" ||
					h.sub.Daemon != "ORIGINATING" {
					t.Errorf("%d aborts, message %d: %q %+v", aborts, n, h.text(), h.sub)
				}
			}
		})
	}
}

func TestEnvelopeSurvivesARefusedRecipient(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.ask('M', "<a@corp.test>\x00SIZE=100\x00ENVID=QQ+2B\x00", 'c')
		m.ask('R', "<b@x.test>\x00NOTIFY=NEVER\x00ORCPT=rfc822;b+40x.test\x00", 'c')
		m.ask('R', "<many@x.test>"+strings.Repeat("\x00X", maxArgs+1)+"\x00", 'y')
		m.ask('R', "<c@x.test>\x00", 'c')
		m.header('c', "Subject: x")
		m.ask('E', "", 'd')
		sub := r.store.holds[0].sub
		if want := []string{"SIZE=100", "ENVID=QQ+2B"}; sub.Sender.Address != "a@corp.test" ||
			!reflect.DeepEqual(sub.Sender.Args, want) {
			t.Errorf("sender %+v", sub.Sender)
		}
		if len(sub.Recipients) != 2 || sub.Recipients[0].Args[1] != "ORCPT=rfc822;b+40x.test" ||
			sub.Recipients[1].Address != "c@x.test" {
			t.Errorf("recipients %+v", sub.Recipients)
		}
	})
}

func TestResetAndSecondHeloAfterStartTLS(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("first@corp.test", "b@x.test")
		m.abort() // RSET
		m.send('D', "H", "{tls_version}", "TLSv1.3")
		m.ask('H', "second\x00", 'c')
		m.send('D', "M", "{auth_authen}", "alice", "{auth_type}", "PLAIN")
		m.message("one@corp.test", 'd')
		m.abort()
		m.message("two@corp.test", 'd')
		one, two := r.store.holds[0].sub, r.store.holds[1].sub
		if one.Client.HELO != "second" || one.TLS != "TLSv1.3" || one.Login != "alice" || len(one.Recipients) != 1 {
			t.Errorf("first message: %+v", one)
		}
		if two.Login != "" || two.TLS != "TLSv1.3" {
			t.Errorf("a login outlived its message, or TLS did not: %+v", two)
		}
	})
}

func TestRetryOfAnUnconfirmedHoldFindsIt(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.message("one@corp.test", 'd')
		m.hangUp() // the DISCARD may never have been read
		again := r.mta()
		again.message("one@corp.test", 'd')
		if len(r.store.holds) != 1 || r.log.count("held HOLD1 found=true") != 1 {
			t.Fatalf("%d holds after the retry, %q", len(r.store.holds), r.log.lines)
		}
		again.abort() // proves that it was read
		again.message("one@corp.test", 'd')
		if len(r.store.holds) != 2 {
			t.Errorf("a second message with the same content is a hold of its own: %d holds", len(r.store.holds))
		}
	})
}

func TestMessageWithoutQueueID(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.ask('M', "a@corp.test\x00", 'c') // sendmail(1): no angle brackets
		m.ask('R', "b@x.test\x00", 'c')
		m.header('c', "Subject: x")
		m.ask('E', "the whole body\r\n", 'd')
		h := r.store.holds[0]
		if h.sub.QueueID != "" || h.sub.Sender.Address != "a@corp.test" ||
			h.text() != "Subject: x\r\n\r\nthe whole body\r\n" {
			t.Errorf("%+v %q", h.sub, h.text())
		}
	})
}

// A message for nobody could never be released. No MTA sends one; the next message is taken.
func TestMessageWithoutARecipientIsDeferred(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.ask('M', "<a@corp.test>\x00", 'c')
		m.header('y', "Subject: x")
		m.abort()
		m.ask('M', "<a@corp.test>\x00", 'c')
		m.ask('R', "<b@x.test>"+strings.Repeat("\x00X", maxArgs+1)+"\x00", 'y')
		m.header('y', "Subject: x")
		m.message("one@corp.test", 'd')
		if len(r.store.holds) != 1 || r.log.count("deferred the MTA named no recipient") != 2 ||
			r.log.count("deferred a defect") > 0 {
			t.Errorf("%d holds, log %q", len(r.store.holds), r.log.lines)
		}
	})
}

func TestQueueIDThatComesOnlyAtMail(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		for _, id := range []string{"first", "second"} {
			m.send('D', "M", "i", id)
			m.ask('M', "<a@corp.test>\x00", 'c')
			m.ask('R', "<b@x.test>\x00", 'c')
			m.header('c', "Message-ID: <"+id+"@corp.test>")
			m.ask('E', "", 'd')
		}
		for n, want := range []string{"first", "second"} {
			if got := r.store.holds[n].sub.QueueID; got != want {
				t.Errorf("queue ID %q, want %q", got, want)
			}
		}
	})
}

func TestClientsAreToldApart(t *testing.T) {
	for frame, want := range map[string]string{
		"mx.x.test\x004\x04\x00192.0.2.9\x00":           "192.0.2.9",
		"mx.x.test\x004\x00\x00192.0.2.9\x00":           "192.0.2.9", // behind a proxy that does not know the port
		"mx.x.test\x006\x04\x00IPv6:2001:db8::1\x00":    "2001:db8::1",
		"localhost\x004\x00\x00127.0.0.1\x00":           "", // sendmail(1)
		"localhost\x00L\x00\x00/run/socket\x00":         "",
		"localhost\x00U":                                "",
		"gw.corp.test\x004\x04\x00127.0.0.1\x00":        "127.0.0.1",
		"proxy.x.test\x006\x00\x00::ffff:192.0.2.1\x00": "::ffff:192.0.2.1",
	} {
		bubble(t, func(r *rig) {
			m := r.connect()
			m.ask('O', offered(6, allActions, allProtocol&^noReply), 'O')
			m.ask('C', frame, 'c')
			m.message("one@corp.test", 'd')
			if got := r.store.holds[0].sub.Client.Address; got != want {
				t.Errorf("%q: client address %q, want %q", frame, got, want)
			}
		})
	}
}

func TestPassedMailTravelsNoFurther(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.ask('M', "<>\x00", 'a') // at MAIL
		m.abort()
		r.Policy = func() Policy {
			return verdicts(func(f policy.Facts) policy.Verdict {
				return policy.Verdict{Certain: f.Known > 0, Reason: policy.Reason{Code: policy.ByRule, Text: "rule: grace 0s"}}
			})
		}
		m.begin("a@corp.test", "b@x.test")
		m.header('a', "Subject: x") // at the end of the headers
		m.abort()
		if r.store.begun != 0 || r.log.count("skipped") != 1 || r.log.count("passed") != 1 {
			t.Errorf("%d puts, log %q", r.store.begun, r.log.lines)
		}
	})
}

func TestAPanicCostsOneMessageARetry(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		r.Policy = func() Policy { panic("policy") }
		if text := m.ask('M', "<a@corp.test>\x00", 'y'); !strings.HasPrefix(text, "451 ") {
			t.Errorf("answer %q", text)
		}
		r.Policy = func() Policy { return verdicts(holdAll) }
		for _, broken := range []*func(context.Context) error{&r.store.onWrite, &r.store.onCommit} {
			well := *broken
			*broken = func(context.Context) error { panic("store") }
			m.begin("a@corp.test", "b@x.test")
			m.header('c', "Subject: x")
			m.send('B', "body\r\n")
			if f := m.reply(); f.code == 'c' {
				m.ask('E', "", 'y')
			} else if f.code != 'y' {
				t.Errorf("answer %q", f.code)
			}
			m.abort()
			*broken = well
		}
		m.message("alive@corp.test", 'd')
		if len(r.store.holds) != 1 || r.log.count("deferred") != 3 || r.log.count("panicked") != 3 ||
			r.log.count("panicked work on one message in true") != 1 {
			t.Errorf("%d holds, log %q", len(r.store.holds), r.log.lines)
		}
	})
}

// A panic outside go-milter's callbacks ends one session, and what may be held by then is not delivered as well.
func TestAPanicEndsItsSessionAndNoOther(t *testing.T) {
	bubble(t, func(r *rig) {
		r.OnStoreFailure = "deliver"
		m, other := r.mta(), r.mta()
		well := r.store.onCommit
		r.store.onCommit = func(context.Context) error { panic("store") }
		m.message("one@corp.test", 'y')
		r.store.onCommit = well
		m.message("two@corp.test", 'd')
		r.store.onConfirm = func() { panic("confirm") }
		m.ask('A', "", 0)
		r.store.onConfirm = nil
		other.message("three@corp.test", 'd')
		if len(r.store.holds) != 2 || r.log.count("panicked a milter session in true") != 1 || r.log.count("unheld") > 0 {
			t.Errorf("%d holds, log %q", len(r.store.holds), r.log.lines)
		}
	})
}

func TestStoreThatFails(t *testing.T) {
	for policy, want := range map[string]byte{"tempfail": 'y', "deliver": 'a'} {
		bubble(t, func(r *rig) {
			r.OnStoreFailure = policy
			m := r.mta()
			r.store.onCommit = func(context.Context) error { return errors.New("away, 100% sure") }
			m.message("one@corp.test", want)
			m.abort()
			r.store.onWrite = r.store.onCommit
			m.begin("a@corp.test", "b@x.test")
			m.header('c', "Subject: x")
			m.ask('B', "body\r\n", 'c')
			m.ask('E', "", want)
			m.abort()
			if len(r.store.holds) != 0 || len(r.store.confirmed) != 0 || r.store.abandoned != 2 {
				t.Errorf("%s: %d holds, %d confirmed, %d abandoned", policy, len(r.store.holds), len(r.store.confirmed),
					r.store.abandoned)
			}
		})
	}
}

// What may be held could be recalled: it must not also be delivered.
func TestWhatMayBeHeldIsNeverDeliveredUnheld(t *testing.T) {
	bubble(t, func(r *rig) {
		r.OnStoreFailure = "deliver"
		m := r.mta()
		r.store.onCommit = func(context.Context) error { return fmt.Errorf("no reply: %w", holdstore.ErrMaybeHeld) }
		m.message("one@corp.test", 'y')
	})
}

func TestSlowStoreKeepsTheMTAWaitingWithinTheBudget(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		slow := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		r.store.onCommit = func(ctx context.Context) error { time.Sleep(50 * time.Second); return nil }
		m.message("slow@corp.test", 'd')
		m.abort()
		r.store.onCommit = slow
		began, progress := time.Now(), 0
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "Subject: x")
		m.send('E')
		for f, err := readFrame(m.conn); err == nil && f.code != 'y'; f, err = readFrame(m.conn) {
			progress++
		}
		if took := time.Since(began); took != storeBudget || progress < 40 {
			t.Errorf("tempfailed after %v and %d progress frames", took, progress)
		}
		m.abort()
		r.store.onWrite = slow
		began = time.Now()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "Subject: x")
		m.ask('B', "one\r\n", 'c')
		m.ask('E', "", 'y')
		if took := time.Since(began); took != storeBudget {
			t.Errorf("a body that hangs took %v", took)
		}
	})
}

func TestBodyAndEndShareOneBudget(t *testing.T) {
	bubble(t, func(r *rig) {
		r.store.onWrite = func(ctx context.Context) error { time.Sleep(30 * time.Second); return ctx.Err() }
		m := r.mta()
		began := time.Now()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "Subject: x")
		for range 3 {
			m.ask('B', "piece\r\n", 'c')
		}
		m.ask('B', "piece\r\n", 'c')
		m.ask('E', "", 'y')
		if took := time.Since(began); took > storeBudget+30*time.Second || len(r.store.holds) != 0 {
			t.Errorf("%d holds after %v", len(r.store.holds), took)
		}
	})
}

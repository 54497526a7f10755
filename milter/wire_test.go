package milter

import (
	"context"
	"encoding/binary"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/milter/internal/wire"
)

func TestFramesThatEndASession(t *testing.T) {
	for name, bytes := range map[string]string{
		"no bytes":          "\x00\x00\x00\x00",
		"1 MiB and one":     "\x00\x10\x00\x01B",
		"4 GiB":             "\xff\xff\xff\xffB",
		"unknown command":   "\x00\x00\x00\x01z",
		"second offer":      string(frame{'O', []byte(offered(6, allActions, allProtocol))}.bytes()),
		"RCPT before MAIL":  string(frame{'R', []byte("<b@x.test>\x00")}.bytes()),
		"body before MAIL":  string(frame{'B', []byte("x")}.bytes()),
		"client, no port":   string(frame{'C', []byte("x\x004")}.bytes()),
		"client, half port": string(frame{'C', []byte("x\x006\x01")}.bytes()),
		"client, no IP":     string(frame{'C', []byte("x\x004\x01\x01nonsense\x00")}.bytes()),
		"half a frame":      "\x00\x00\x00\x09Mhal",
		"half a length":     "\x00\x00",
	} {
		bubble(t, func(r *rig) {
			m := r.mta()
			began := time.Now()
			m.write([]byte(bytes))
			if f := m.reply(); f.code != 0 {
				t.Errorf("%s is answered by %q", name, f.code)
			}
			if took := time.Since(began); took > wire.StallTime {
				t.Errorf("%s: the session ended after %v", name, took)
			}
			if r.log.count("trouble") != 1 {
				t.Errorf("%s: nobody is told", name)
			}
			r.mta().message("next@corp.test", 'd')
		})
	}
}

func TestFramesOutOfOrderAfterTheHeaders(t *testing.T) {
	for _, code := range "RLN" {
		bubble(t, func(r *rig) {
			m := r.mta()
			m.begin("a@corp.test", "b@x.test")
			m.header('c', "Subject: x")
			m.ask(byte(code), "<c@x.test>\x00", 0)
			synctest.Wait()
			if r.store.abandoned != 1 {
				t.Errorf("%c: what was staged is left there", code)
			}
		})
	}
}

func TestEndOfMessageWithoutEndOfHeaders(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.ask('B', "x", 'c')
		m.ask('E', "", 'y')
	})
}

func TestOddFramesThatAreTaken(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.ask('U', "XYZZY\x00", 'c')
		m.send('D', "M")
		m.send('D')
		m.write(frame{'D', []byte("Mi\x00odd\x00{dangling}")}.bytes())
		m.ask('M', "<a@corp.test>\x00", 'c')
		m.ask('R', "<b@x.test>\x00", 'c')
		m.ask('T', "", 'c')
		m.header('c', "Subject: x")
		m.ask('E', "", 'd')
		if got := r.store.holds[0].sub.QueueID; got != "odd" {
			t.Errorf("queue ID %q", got)
		}
		m.send('K') // the same connection for another client
		m.ask('C', "other.test\x004\x00\x63"+"198.51.100.1\x00", 'c')
		m.message("two@corp.test", 'd')
		if c := r.store.holds[1].sub; c.Client.Address != "198.51.100.1" || c.Daemon != "" || c.Client.HELO != "" {
			t.Errorf("the first client shows through: %+v", c)
		}
	})
}

func TestNegotiation(t *testing.T) {
	for name, c := range map[string]struct {
		offer string
		want  byte
	}{
		"all":                    {offered(6, allActions, allProtocol), 'O'},
		"newer than we know":     {offered(9, 0xffffffff, 0xffffffff), 'O'},
		"Postfix at version 2":   {offered(2, allActions, allProtocol), 'O'},
		"without SETSYMLIST":     {offered(6, allActions&^0x100, allProtocol), 'O'},
		"without HDR_LEADSPC":    {offered(6, allActions, allProtocol&^(1<<20)), 0},
		"too old":                {offered(1, allActions, allProtocol), 0},
		"short":                  {"\x00\x00\x00\x06", 0},
		"with an MTA's own tail": {offered(6, allActions, allProtocol) + "more", 'O'},
		"without any NR_ flag":   {offered(6, allActions, allProtocol&^(1<<7|noReply)), 'O'},
	} {
		bubble(t, func(r *rig) {
			m := r.connect()
			answer := m.ask('O', c.offer, c.want)
			if c.want == 0 {
				if r.log.count("trouble") != 1 {
					t.Errorf("%s: nobody is told", name)
				}
				return
			}
			checkAnswer(t, name, c.offer, answer)
		})
	}
}

// checkAnswer wants no more than was offered.
func checkAnswer(t *testing.T, name, offer, answer string) {
	t.Helper()
	word := func(s string, n int) uint32 { return binary.BigEndian.Uint32([]byte(s[4*n:])) }
	if word(answer, 0) > min(word(offer, 0), wire.NewestVersion) || word(answer, 1)&^word(offer, 1) != 0 ||
		word(answer, 2)&^word(offer, 2) != 0 {
		t.Errorf("%s: offered %x, answered %x", name, offer, answer[:12])
	}
	if lists := len(answer) > 12; lists != (word(offer, 1)&0x100 != 0) {
		t.Errorf("%s: lists of macros in the answer: %v", name, lists)
	}
}

func TestHeadersWithReplies(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.connect()
		m.ask('O', offered(6, allActions, allProtocol&^(1<<7|noReply)), 'O')
		m.begin("a@corp.test", "b@x.test")
		m.ask('L', "X-Hold-For\x00 0\x00", 'c')
		m.ask('N', "", 'c')
		m.ask('B', "x", 'c')
		m.send('E')
		m.removals('a')
	})
}

func TestNothingBeforeTheNegotiation(t *testing.T) {
	bubble(t, func(r *rig) {
		r.connect().ask('M', "<a@corp.test>\x00", 0)
	})
}

func TestSilentSessionEnds(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		began := time.Now()
		if f := m.reply(); f.code != 0 || time.Since(began) != wire.IdleTime {
			t.Errorf("answer %q after %v", f.code, time.Since(began))
		}
	})
}

func TestDrainFinishesEveryMessage(t *testing.T) {
	const sessions = 200
	bubble(t, func(r *rig) {
		gate := make(chan struct{})
		r.store.onCommit = func(context.Context) error { <-gate; return nil }
		var done sync.WaitGroup
		for n := range sessions {
			m := r.mta()
			done.Go(func() {
				m.message(strings.Repeat("x", n)+"@corp.test", 'd')
				m.abort()
				if f := m.reply(); f.code != 0 {
					t.Errorf("a drained session goes on: %q", f.code)
				}
			})
		}
		idle := r.mta()
		synctest.Wait() // all are at the end of their message
		r.drain()
		if f := idle.reply(); f.code != 0 {
			t.Errorf("an idle session goes on: %q", f.code)
		}
		close(gate)
		done.Wait()
		<-r.ended
		if len(r.store.holds) != sessions || len(r.store.confirmed) != sessions {
			t.Errorf("%d held and %d confirmed of %d", len(r.store.holds), len(r.store.confirmed), sessions)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test") // and never goes on
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != wire.DrainTime {
			t.Errorf("drained after %v, want %v", took, wire.DrainTime)
		}
		if f := m.reply(); f.code != 0 {
			t.Errorf("answer %q", f.code)
		}
	})
}

func TestDrainWaitsForTheProofOfADiscard(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.message("one@corp.test", 'd')
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != wire.ProvenIn {
			t.Errorf("drained after %v, want %v", took, wire.ProvenIn)
		}
	})
}

func TestLargeMessagesAreNotGathered(t *testing.T) {
	const sessions, pieces, piece = 50, 128, 64 << 10 // 8 MB each: 400 MB in all
	bubble(t, func(r *rig) {
		r.store.forgetful = true
		chunk := strings.Repeat("x", piece-1)
		atEnd := make(chan struct{})
		var ready, done sync.WaitGroup
		for range sessions {
			m := r.mta()
			ready.Add(1)
			done.Go(func() {
				m.begin("a@corp.test", "b@x.test")
				m.header('c', "Subject: x")
				for range pieces {
					m.ask('B', chunk, 'c')
				}
				ready.Done()
				<-atEnd
				m.ask('E', "", 'd')
			})
		}
		ready.Wait()
		var heap runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&heap)
		close(atEnd)
		done.Wait()
		if limit := uint64(100 << 20); heap.HeapAlloc > limit || r.store.largest > piece {
			t.Errorf("%d MB of heap for %d messages of 8 MB, largest piece %d bytes", heap.HeapAlloc>>20, sessions,
				r.store.largest)
		}
	})
}

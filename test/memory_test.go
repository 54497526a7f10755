package test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// memoryBound is half of what the packages' unit gives the daemon: beyond MemoryHigh, 768 MB, the kernel slows it down.
const memoryBound = 384 << 20

// speaker is an MTA's side of a milter connection. It sends without waiting, and reads what comes when it is asked.
type speaker struct {
	net.Conn
	out *bufio.Writer
	in  *bufio.Reader
}

// dialMilter opens a milter connection as Postfix does it.
func dialMilter(t *testing.T, addr string) *speaker {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := &speaker{Conn: c, out: bufio.NewWriterSize(c, 64<<10), in: bufio.NewReaderSize(c, 64<<10)}
	s.say('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x17\x8f\xff") // it waits for each reply
	s.hear()
	return s
}

func (s *speaker) say(code byte, data string) {
	var head [5]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(data)+1))
	head[4] = code
	s.out.Write(head[:])
	s.out.WriteString(data)
}

// hear sends what waits, and returns the code of the next reply; 0: the connection is over.
func (s *speaker) hear() byte {
	s.out.Flush()
	for {
		var head [5]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return 0
		}
		if n := binary.BigEndian.Uint32(head[:]) - 1; n > 0 {
			s.in.Discard(int(n))
		}
		if head[4] != 'p' {
			return head[4]
		}
	}
}

// from begins a message.
func (s *speaker) from(client, login, sender string) byte {
	s.say('D', "Cj\x00gw.corp.test\x00{daemon_name}\x00smtpd\x00")
	s.say('C', client+"\x004\x04\x00"+client+"\x00")
	s.hear()
	s.say('H', "client\x00")
	s.hear()
	if login != "" {
		s.say('D', "Mi\x004XyZ\x00{auth_authen}\x00"+login+"\x00")
	}
	s.say('M', "<"+sender+">\x00")
	return s.hear()
}

// to names recipients, a batch at a time until one is refused, and returns how many were taken.
func (s *speaker) to(n int, address func(int) string) (taken int) {
	for i := 0; i < n && taken == i; {
		batch := min(100, n-i)
		for range batch {
			s.say('R', "<"+address(i)+">\x00")
			i++
		}
		for range batch {
			if s.hear() == 'c' {
				taken++
			}
		}
	}
	return taken
}

// fields sends a header and its end.
func (s *speaker) fields(all ...string) byte {
	for _, f := range all {
		name, value, _ := strings.Cut(f, ":")
		s.say('L', name+"\x00"+value+"\x00")
	}
	s.say('N', "")
	return s.hear()
}

// body sends a body and its end.
func (s *speaker) body(text string) byte {
	for len(text) > 0 {
		n := min(len(text), 60<<10)
		s.say('B', text[:n])
		if code := s.hear(); code != 'c' && code != 's' {
			return code
		}
		text = text[n:]
	}
	s.say('E', "")
	return s.hear()
}

// lean builds the daemon as the packages have it.
func lean(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := buildShipped(dir, "../cmd/recall-milter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "recall-milter")
}

// startLean starts a gateway without an MTA, with a daemon that has the memory of the packages' unit.
func startLean(t *testing.T, program string) *gateway {
	t.Helper()
	g := startGatewayWith(t, "1h", func(_, nextHop string) mta { return mta{reinject: nextHop} })
	g.killDaemon()
	g.program, g.environ = program, []string{"GOMEMLIMIT=512MiB"}
	g.configure("[recall]\naddresses = [\"" + recallAddress + "\"]\nrate = \"100000/h\"\n" +
		"[outbound]\nnetworks = []\n[inbound]\nauthserv_id = \"gw.corp.test\"\nverify = []\n")
	return g
}

// peak is the most memory that the daemon had.
func (g *gateway) peak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.daemon.Process.Pid))
	g.must(err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		g.t.Fatalf("no VmHWM in %s", status)
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb << 10
}

// memoryAttacks are what senders and strangers can do to fill the daemon's memory.
var memoryAttacks = map[string]func(t *testing.T, g *gateway){
	"recipients":      manyRecipients,
	"headers":         largeHeaders,
	"recalls by LAST": manyLast,
	"TNEF":            nestedTNEF,
	"to remember":     muchToRemember,
	"macros":          manyMacros,
}

// Nothing that a sender or a stranger sends fills the daemon's memory: each attack would take several times the bound
// if what it sends were kept as it comes.
func TestNobodyFillsTheMemory(t *testing.T) {
	t.Parallel()
	program := lean(t)
	for name, attack := range memoryAttacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startLean(t, program)
			attack(t, g)
			peak := g.peak()
			t.Logf("%d of %d MB", peak>>20, memoryBound>>20)
			if peak > memoryBound {
				t.Errorf("the daemon took %d MB", peak>>20)
			}
		})
	}
}

// at once runs an attack with so many hands.
func atOnce(n int, hand func(n int)) {
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { hand(k) })
	}
	wg.Wait()
}

// manyRecipients names 50,000 recipients in each of some dozen sessions, and sends all of the messages.
func manyRecipients(t *testing.T, g *gateway) {
	var most atomic.Int64
	atOnce(24, func(k int) {
		s := dialMilter(t, g.milter)
		s.from("192.0.2.1", "mallory", "mallory@corp.test")
		taken := s.to(50_000, func(i int) string { return fmt.Sprintf("recipient%d.%d@x.test", k, i) })
		most.Store(max(most.Load(), int64(taken)))
		s.fields("From: mallory@corp.test", fmt.Sprintf("Message-ID: <%d@corp.test>", k), "Subject: x")
		if end := s.body("hello\r\n"); end != 'd' || taken < 100 {
			t.Errorf("a message to %d recipients is answered by %q", taken, end)
		}
	})
	t.Logf("one message went to %d recipients", most.Load())
}

// largeHeaders sends headers of 9 MB.
func largeHeaders(t *testing.T, g *gateway) {
	fields := []string{"From: mallory@corp.test"}
	for range 9 * 16 {
		fields = append(fields, "X-F: "+strings.Repeat("x", 64<<10))
	}
	atOnce(30, func(int) {
		s := dialMilter(t, g.milter)
		s.from("192.0.2.1", "mallory", "mallory@corp.test")
		s.to(1, func(int) string { return "b@x.test" })
		s.fields(fields...)
		if end := s.body("hello\r\n"); end != 'd' && end != 'y' {
			t.Errorf("it is answered by %q", end)
		}
	})
}

// manyLast recalls the last of some messages to tens of thousands of recipients, several times at once.
func manyLast(t *testing.T, g *gateway) {
	for k := range 3 {
		s := dialMilter(t, g.milter)
		s.from("192.0.2.1", "mallory", "mallory@corp.test")
		s.to(20_000, func(i int) string { return fmt.Sprintf("recipient%d.%d@x.test", k, i) })
		s.fields("From: mallory@corp.test", fmt.Sprintf("Message-ID: <%d@corp.test>", k), "Subject: x")
		s.body("hello\r\n")
	}
	atOnce(8, func(k int) {
		s := dialMilter(t, g.milter)
		s.from("192.0.2.1", "mallory", "mallory@corp.test")
		s.to(1, func(int) string { return recallAddress })
		s.fields("From: mallory@corp.test", fmt.Sprintf("Message-ID: <r%d@corp.test>", k), "Subject: RECALL LAST")
		if end := s.body("hello\r\n"); end != 'd' {
			t.Errorf("the command is answered by %q", end)
		}
	})
}

// nestedTNEF sends a hundred recalls with a winmail.dat of most of a megabyte, deep inside.
func nestedTNEF(t *testing.T, g *gateway) {
	large := append(outlook.Winmail([]byte("x"), 65001), make([]byte, 700<<10)...)
	kind, body := "application/ms-tnef; name=winmail.dat", "\r\n"+base64.StdEncoding.EncodeToString(large)
	for depth := range 7 {
		body = fmt.Sprintf("--c%d\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--c%d--\r\n",
			depth, kind, body, depth)
		kind = fmt.Sprintf("multipart/mixed; boundary=c%d", depth)
	}
	atOnce(100, func(k int) {
		s := dialMilter(t, g.milter)
		s.from("203.0.113.9", "", "x@far.test")
		s.to(1, func(int) string { return "bert@corp.test" })
		s.fields("From: x@far.test", "Subject: Recall: prices", fmt.Sprintf("Message-ID: <!~!%d@far.test>", k),
			"X-Mailer: Microsoft Outlook", "Content-Type: "+kind)
		if end := s.body(body); end != 'a' && end != 'c' {
			t.Errorf("it is answered by %q", end)
		}
	})
}

// muchToRemember lets mail to hundreds of long addresses come in while Redis does not answer.
func muchToRemember(t *testing.T, g *gateway) {
	g.redis.Pause()
	defer g.redis.Resume()
	atOnce(10, func(k int) {
		s := dialMilter(t, g.milter)
		for n := range 200 {
			s.from("203.0.113.9", "", "x@far.test")
			s.to(200, func(i int) string { return fmt.Sprintf("%s%d@corp.test", strings.Repeat("b", 1200), i) })
			s.fields("From: x@far.test", fmt.Sprintf("Message-ID: <%d.%d@far.test>", k, n), "Subject: x")
		}
	})
}

// manyMacros defines as many macros as there may be, as large as a frame has room for.
func manyMacros(t *testing.T, g *gateway) {
	atOnce(100, func(int) {
		s := dialMilter(t, g.milter)
		for k := range 100 {
			s.say('D', fmt.Sprintf("C{m%d}\x00%s\x00", k, strings.Repeat("x", 60<<10)))
		}
		if s.hear() != 0 {
			t.Error("the session goes on")
		}
	})
}

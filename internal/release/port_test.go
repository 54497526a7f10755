package release

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// port is a scripted re-injection port: answer says what it replies to a line, "" for what a good port says.
type port struct {
	addr   string
	offers []string
	answer func(session int, line string) string

	mu     sync.Mutex
	lines  []string
	data   []string // raw, with dots as they travelled, without the final one
	dials  int
	listen net.Listener
	wg     sync.WaitGroup
}

// Replies that are none.
const (
	hangs  = "hang"
	closes = "close"
)

func startPort(t *testing.T, answer func(session int, line string) string, offers ...string) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if answer == nil {
		answer = func(int, string) string { return "" }
	}
	p := &port{addr: l.Addr().String(), offers: offers, answer: answer, listen: l}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.dials++
			session := p.dials
			p.mu.Unlock()
			p.wg.Go(func() { p.serve(c, session) })
		}
	})
	t.Cleanup(func() { l.Close(); p.wg.Wait() })
	return p
}

func (p *port) serve(c net.Conn, session int) {
	defer c.Close()
	in := bufio.NewReader(c)
	say := func(line, good string) bool {
		reply := p.answer(session, line)
		switch reply {
		case closes:
			return false
		case hangs:
			in.ReadByte() // until the client goes
			return false
		case "":
			reply = good
		}
		_, err := c.Write([]byte(reply + "\r\n"))
		return err == nil
	}
	if !say("", "220 port") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		p.note(&p.lines, line)
		good := "250 2.0.0 ok"
		switch {
		case strings.HasPrefix(line, "EHLO"):
			good = "250-port\r\n250-" + strings.Join(append([]string{"SIZE"}, p.offers...), "\r\n250-") +
				"\r\n250 ENHANCEDSTATUSCODES"
		case line == "DATA":
			good = "354 go on"
		}
		if !say(line, good) {
			return
		}
		if line == "DATA" && !strings.HasPrefix(p.answer(session, line), "5") {
			text, ok := readDots(in)
			p.note(&p.data, text)
			if !ok || !say(".", "250 2.0.0 Ok: queued as 4XYZ") {
				return
			}
		}
	}
}

// readDots reads up to the final dot; false: the client went before it.
func readDots(in *bufio.Reader) (string, bool) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return b.String() + line, false
		}
		if line == ".\r\n" {
			return b.String(), true
		}
		b.WriteString(line)
	}
}

func (p *port) note(list *[]string, s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*list = append(*list, s)
}

func (p *port) got() (lines, data []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...), append([]string(nil), p.data...)
}

// asked is how many connections there were.
func (p *port) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// undot takes doubled dots away as a strict server does.
func undot(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, ".")
	}
	return strings.Join(lines, "")
}

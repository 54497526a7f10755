package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Delivery is one message that a sink took.
type Delivery struct {
	Mail string   // the argument of MAIL FROM:, with its ESMTP parameters
	Rcpt []string // the arguments of RCPT TO:
	Data []byte   // what came in DATA, dots undone
}

// Sink is the outside world: an SMTP server that takes everything and remembers it.
type Sink struct {
	Addr string

	listener net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	answer   func(line string) string
	take     func(Delivery)
	got      []Delivery
	conns    map[net.Conn]bool
}

// StartSink starts a sink, which ends with the test.
func StartSink(t testing.TB) *Sink {
	t.Helper()
	return StartSinkFor(t, nil)
}

// StartSinkFor starts a sink that remembers nothing and gives what it takes to take, before it says so, from several
// goroutines at a time; nil: it remembers.
func StartSinkFor(t testing.TB, take func(Delivery)) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Addr: l.Addr().String(), listener: l, take: take, conns: map[net.Conn]bool{}}
	if take == nil {
		s.take = s.remember
	}
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(s.close)
	return s
}

// Hangs as an answer means none: the sink waits until the client goes.
const Hangs = "hangs"

// Answer makes the sink say what f returns to a line, "." being the end of DATA; "" is what it would say by itself.
func (s *Sink) Answer(f func(line string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Got returns what has arrived so far.
func (s *Sink) Got() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Delivery(nil), s.got...)
}

func (s *Sink) remember(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, d)
}

func (s *Sink) accept() {
	defer s.wg.Done()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Add(1)
		go s.serve(c)
	}
}

func (s *Sink) close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Sink) serve(c net.Conn) {
	defer s.wg.Done()
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(text string) { c.Write([]byte(text + "\r\n")) }
	// other says what the test wants to hear; false: nothing else must be said.
	other := func(line string) bool {
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		if answer == nil {
			return false
		}
		text := answer(line)
		if text == Hangs {
			io.Copy(io.Discard, r)
			return true
		}
		if text != "" {
			say(text)
		}
		return text != ""
	}
	say("220 sink ESMTP")
	var d Delivery
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb := strings.ToUpper(line); {
		case other(verb):
		case strings.HasPrefix(verb, "EHLO"):
			say("250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE")
		case strings.HasPrefix(verb, "MAIL FROM:"):
			d = Delivery{Mail: line[len("MAIL FROM:"):]}
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT TO:"):
			d.Rcpt = append(d.Rcpt, line[len("RCPT TO:"):])
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			if d.Data, err = readData(r); err != nil {
				return
			}
			if other(".") {
				continue
			}
			s.take(d)
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func readData(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
	}
}

package holdstore

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// mishap is what befalls a request on its way to Redis.
type mishap string

const (
	requestLost mishap = "the request is lost"
	requestHalf mishap = "half of the request arrives"
	requestLate mishap = "the request arrives late"
	replyLost   mishap = "the reply is lost"
	replyHalf   mishap = "half of the reply arrives"
	delay       mishap = "the request waits" // the client may give up; else it hears the reply
)

// accident befalls one request, and its connection is lost. Everything stops at it, before the client hears of that.
type accident struct {
	what   mishap
	marker string // requests without this text don't count
	after  int    // so many pass before it
	part   int    // percent of the half that arrives

	at, on, over chan struct{} // closed when it happens, when things may go on, and when it is over
	once         sync.Once
}

func newAccident(what mishap, marker string, after, part int) *accident {
	return &accident{what: what, marker: marker, after: after, part: part,
		at: make(chan struct{}), on: make(chan struct{}), over: make(chan struct{})}
}

func (a *accident) stop() { close(a.at); <-a.on }

// goOn ends a stop.
func (a *accident) goOn() {
	a.once.Do(func() { close(a.on) })
	<-a.over
}

// wire is the way of one client to Redis. What is read at once is a request: go-redis writes a pipeline at once.
type wire struct {
	addr, to string
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	next  []*accident // they happen one after the other
	late  []*parcel
	conns []*joint
	ended bool
}

// parcel is a request that is still under way when its client has lost the connection.
type parcel struct {
	c       *joint
	request []byte
}

// arrive returns when Redis has done what the request says.
func (p *parcel) arrive() { p.c.last(p.request) }

func startWire(t testing.TB, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &wire{addr: listener.Addr().String(), to: to, listener: listener}
	l.work.Go(l.accept)
	return l
}

// end loses all connections, and what is under way.
func (l *wire) end() {
	l.listener.Close()
	l.mu.Lock()
	l.ended = true
	for _, c := range l.conns {
		c.close()
	}
	l.mu.Unlock()
	l.work.Wait()
}

// expect says what is to happen; nothing: what has not happened by now won't.
func (l *wire) expect(all ...*accident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = all
}

// lost takes the requests that are under way without a connection.
func (l *wire) lost() []*parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := l.late
	l.late = nil
	return late
}

// befalls says what happens to a request. Nothing happens to greetings, and to what a gateway does by itself at any
// time.
func (l *wire) befalls(request []byte) *accident {
	has := func(text string) bool { return bytes.Contains(request, []byte(text)) }
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.next) == 0 || !has(l.next[0].marker) || has("hello") || has(confirmScript.Hash()) || has(confirming) &&
		!has(replacing) {
		return nil
	}
	a := l.next[0]
	if a.after--; a.after >= 0 {
		return nil
	}
	l.next = l.next[1:]
	return a
}

func (l *wire) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.to)
		if err != nil {
			in.Close()
			continue
		}
		c := &joint{in: in, out: out.(*net.TCPConn), over: make(chan struct{})}
		l.mu.Lock()
		l.conns = append(l.conns, c)
		if l.ended {
			c.close()
		}
		l.mu.Unlock()
		l.work.Go(c.replies)
		l.work.Go(func() { l.requests(c) })
	}
}

// requests passes on what the client says, until something befalls it.
func (l *wire) requests(c *joint) {
	buf := make([]byte, 256<<10)
	for {
		n, err := c.in.Read(buf)
		if err != nil {
			c.close()
			return
		}
		if a := l.befalls(buf[:n]); a != nil {
			l.suffer(c, a, bytes.Clone(buf[:n]))
			c.in.Close()
			close(a.over)
			return
		}
		c.out.Write(buf[:n])
	}
}

func (l *wire) suffer(c *joint, a *accident, request []byte) {
	half := func(b []byte) []byte { return b[:len(b)*a.part/100] }
	switch a.what {
	case requestLost:
		c.last(nil)
	case requestHalf:
		c.last(half(request))
	case requestLate:
		l.mu.Lock()
		l.late = append(l.late, &parcel{c, request})
		l.mu.Unlock()
	case replyLost:
		c.last(request)
	case replyHalf:
		c.in.Write(half(c.last(request)))
	}
	a.stop()
	if a.what == delay {
		c.in.Write(c.last(request))
	}
}

// joint is a client's connection and its other half.
type joint struct {
	in   net.Conn
	out  *net.TCPConn
	over chan struct{} // closed when Redis says no more

	mu      sync.Mutex
	keeping bool
	kept    []byte
}

func (c *joint) close() { c.in.Close(); c.out.Close() }

// replies passes on what Redis says, or keeps it.
func (c *joint) replies() {
	defer close(c.over)
	defer c.out.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.out.Read(buf)
		c.mu.Lock()
		keeping := c.keeping
		if keeping {
			c.kept = append(c.kept, buf[:n]...)
		}
		c.mu.Unlock()
		switch {
		case err != nil && !keeping:
			c.in.Close()
			return
		case err != nil:
			return
		case !keeping:
			c.in.Write(buf[:n])
		}
	}
}

// last sends the last request of a connection, and returns what Redis says to it when it has done it all.
func (c *joint) last(request []byte) []byte {
	c.mu.Lock()
	c.keeping = true
	c.mu.Unlock()
	c.out.Write(request)
	c.out.CloseWrite()
	<-c.over
	return c.kept
}

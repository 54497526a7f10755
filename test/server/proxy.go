package server

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP port that leads to an address, which may be known later, and that can be cut.
type Proxy struct {
	Addr string

	listener net.Listener
	mu       sync.Mutex
	to       string
	watch    Watch
	conns    int
	open     map[net.Conn]bool
	work     sync.WaitGroup
}

// StartProxy starts a proxy that leads nowhere yet.
func StartProxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, open: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	t.Cleanup(func() { l.Close(); p.To(""); p.work.Wait() })
	return p
}

// To leads new connections to an address, "" to none, and cuts those that are open.
func (p *Proxy) To(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = addr
	for c := range p.open {
		c.Close()
	}
}

// Watch sees each piece of what passes over a connection before it arrives, and may keep it as long as it likes. When
// it says false, the piece does not arrive, and the connection ends.
type Watch func(conn int, toServer bool, piece []byte) bool

// Watched has new connections watched.
func (p *Proxy) Watched(w Watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = w
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.join(c) })
	}
}

func (p *Proxy) join(in net.Conn) {
	defer in.Close()
	p.mu.Lock()
	to, watch := p.to, p.watch
	p.conns++
	conn := p.conns
	p.open[in] = true
	p.mu.Unlock()
	defer func() { p.mu.Lock(); delete(p.open, in); p.mu.Unlock() }()
	if to == "" {
		return
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	p.work.Go(func() { pass(out, in, conn, true, watch); out.(*net.TCPConn).CloseWrite() })
	pass(in, out, conn, false, watch)
}

// pass copies one direction of a connection.
func pass(to, from net.Conn, conn int, toServer bool, watch Watch) {
	if watch == nil {
		io.Copy(to, from)
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !watch(conn, toServer, buf[:n]) {
				return
			}
			if _, broken := to.Write(buf[:n]); broken != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

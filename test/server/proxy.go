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
	to := p.to
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
	p.work.Go(func() { io.Copy(out, in); out.(*net.TCPConn).CloseWrite() })
	io.Copy(in, out)
}

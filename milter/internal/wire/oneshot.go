package wire

import (
	"net"
	"sync"
)

// oneShot is a listener that gives one connection, and ends when that is closed.
type oneShot struct {
	conn chan net.Conn
	addr net.Addr
	done chan struct{}
	once sync.Once
}

// closing tells its listener of the connection's end.
type closing struct {
	*Conn
	l *oneShot
}

func newOneShot(c *Conn) *oneShot {
	l := &oneShot{conn: make(chan net.Conn, 1), addr: c.LocalAddr(), done: make(chan struct{})}
	l.conn <- closing{c, l}
	return l
}

func (l *oneShot) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneShot) Close() error   { return nil }
func (l *oneShot) Addr() net.Addr { return l.addr }

func (c closing) Close() error {
	defer c.l.once.Do(func() { close(c.l.done) })
	return c.Conn.Conn.Close()
}

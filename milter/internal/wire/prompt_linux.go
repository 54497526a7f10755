package wire

import (
	"net"
	"syscall"
)

// prompt acknowledges at once whatever it reads. MTAs write a frame in several pieces, and hold back the second until
// the first is acknowledged (Nagle); the kernel would take 40 ms for that, several times for each message.
type prompt struct{ net.Conn }

func (p prompt) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if c, ok := p.Conn.(*net.TCPConn); ok && err == nil {
		if raw, err := c.SyscallConn(); err == nil {
			// The kernel forgets it again and again (tcp(7)), and it is only a wish: an error changes nothing.
			_ = raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
			})
		}
	}
	return n, err
}

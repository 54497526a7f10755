package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// FreeAddr returns a loopback address that nothing listens on, and that is nobody else's until the test ends: the UDP
// port of the same number is kept for that, also from other processes. It lies below the ports that systems usually
// give to outgoing connections, and is kept from those as well: one of them could take it before the server that it is
// for. No default of ours or of Postfix is among them.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := 11000 + rand.IntN(19000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		kept, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			kept.Close()
			continue
		}
		l.Close()
		fd, err := bound(port)
		if err != nil {
			kept.Close()
			continue
		}
		t.Cleanup(func() { kept.Close(); syscall.Close(fd) })
		return addr
	}
	t.Fatal("no free port on loopback")
	return ""
}

// bound makes a socket that has a TCP port and does not listen: a server, which reuses addresses, can take the port as
// well, and no outgoing connection gets it.
func bound(port int) (fd int, err error) {
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		syscall.Close(fd)
	}
	return fd, err
}

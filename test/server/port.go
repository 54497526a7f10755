package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddr returns a loopback address that nothing listens on, and that is nobody else's until the test ends: the UDP port
// of the same number is kept for that, also from other processes. It lies below the ports that the system gives to outgoing
// connections: one of those could take it before the server that it is for.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
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
		t.Cleanup(func() { kept.Close() })
		return addr
	}
	t.Fatal("no free port on loopback")
	return ""
}

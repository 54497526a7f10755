package doctor

import (
	"net"
	"os"
	"testing"
)

// listenUnix listens at a socket with these rights.
func listenUnix(t *testing.T, path string, mode os.FileMode) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return l
}

package server

import (
	"net"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// StartPostSRSd starts a server of address maps for SRS, and returns where it rewrites senders, and where recipients
// are turned back.
func StartPostSRSd(t testing.TB, domain string) (forward, back string) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "a secret of this test\n")
	forward, back = FreeAddr(t), FreeAddr(t)
	_, f, _ := net.SplitHostPort(forward)
	_, b, _ := net.SplitHostPort(back)
	startListener(t, forward, "postsrsd", "-s"+secret, "-d"+domain, "-f"+f, "-r"+b, "-4")
	return forward, back
}

// credential is whom a program runs as.
func credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("there is no user %s: run make deps: %v", name, err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

package server

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// What the programs print and write does not depend on who runs the tests.
func init() {
	syscall.Umask(0o022)
	os.Setenv("LC_ALL", "C.UTF-8")
}

// patience is longer than a lease, and far longer than any machine under load needs.
const patience = 4 * time.Minute

// Eventually waits until cond holds.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
		time.Sleep(pause)
	}
}

// WithoutLeaks runs the tests of a package, and fails when a goroutine outlives them. Those that end are waited for: on
// a machine under load that takes longer than goleak waits by itself.
func WithoutLeaks(m *testing.M) (code int) {
	if code = m.Run(); code != 0 {
		return code
	}
	err := goleak.Find()
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

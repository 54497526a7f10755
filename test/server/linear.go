package server

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Linear fails when something whole takes far more than eight times the processor time of an eighth of it: the square
// would take 64 times as much. What else runs on the machine does not count. of makes what is measured: 1 is the whole,
// and 8 an eighth. It returns what the whole takes.
func Linear(t *testing.T, name string, of func(part int) func()) time.Duration {
	t.Helper()
	const tries, least = 5, time.Millisecond // less is not measured well
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what others have left behind does not count
	eighth, whole := time.Hour, time.Hour
	for range tries {
		eighth, whole = min(eighth, spent(t, of(8))), min(whole, spent(t, of(1)))
		if whole <= 24*max(eighth, least) {
			return whole
		}
	}
	t.Errorf("%s: %v, and an eighth of it %v", name, whole, eighth)
	return whole
}

// spent is the processor time that this thread takes for something.
func spent(t *testing.T, do func()) time.Duration {
	t.Helper()
	runtime.GC()
	now := func() time.Duration {
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
			t.Fatal(err)
		}
		return time.Duration(at.Nano())
	}
	began := now()
	do()
	return now() - began
}

package recall

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// A recall with as many recipients as an envelope has costs as much as they are, not as their square.
func TestARecallOfFiftyThousandRecipientsIsCheap(t *testing.T) {
	const few, many = 10_000, 50_000
	best := map[int]time.Duration{few: time.Hour, many: time.Hour}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what others have left behind does not count
	for range 5 {
		for recipients := range best {
			best[recipients] = min(best[recipients], answering(t, recipients))
		}
		if best[many] <= best[few]*(many/few)*3 { // the square would be 25 times as much, and this is 15
			return
		}
	}
	t.Errorf("%d recipients took %v, and %d took %v", few, best[few], many, best[many])
}

// answering says how much processor time the answer to a recall of so many recipients takes: whatever else runs on the
// machine does not count.
func answering(t *testing.T, recipients int) time.Duration {
	t.Helper()
	runtime.GC()
	h := &holdstore.Hold{State: holdstore.Held}
	var only []string
	for n := range recipients {
		address := fmt.Sprintf("Recipient-%d@far.test", n)
		h.Recipients, only = append(h.Recipients, holdstore.Path{Address: address}), append(only, address)
	}
	h.Results = make([]holdstore.Result, recipients)
	a := &answer{Answer: post.Answer{Done: []*holdstore.Hold{h}, Only: only}}
	began := spent(t)
	if n := len(a.Outcomes()); n != recipients {
		t.Errorf("%d outcomes", n)
	}
	if missing := a.Missing(); len(missing) > 0 {
		t.Errorf("%d are missing", len(missing))
	}
	if left := a.left(h.Recipients); len(left) != recipients {
		t.Errorf("%d are left", len(left))
	}
	return spent(t) - began
}

// spent is the processor time of this thread.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano())
}

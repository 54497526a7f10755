package holdstore

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Twelve searches at once through a login's mail to thousands take a bounded part of the memory, not all records at
// once.
func TestSearchesThroughLargeRecordsTakeLittleMemory(t *testing.T) {
	r := server.StartRedis(t, "--appendfsync", "no")
	s, err := Open(Options{Addresses: []string{r.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for n := range 60 {
		sub := submission(fmt.Sprint(n))
		for i := range 1000 {
			sub.Recipients = append(sub.Recipients,
				Path{Address: fmt.Sprintf("%s%d@%s.test", strings.Repeat("a", 200), i, strings.Repeat("b", 200))})
		}
		if _, err := s.Put(sub, []byte(header(fmt.Sprint(n)))).Commit(t.Context(), Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	before := heap()
	var peak atomic.Uint64
	end, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			peak.Store(max(peak.Load(), heap()))
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if got, err := s.Latest(t.Context(), Whose{Login: "alice"}, 2, nil); err != nil || len(got) != 2 {
				t.Errorf("%d, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	close(end)
	<-watched
	if took := int64(peak.Load()) - int64(before); took > 300<<20 {
		t.Errorf("they took %d MB", took>>20)
	}
}

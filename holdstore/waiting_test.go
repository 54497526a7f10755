package holdstore

import (
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A hold that is claimed and given back, as when too few replicas have the claim, waits all the time. A drain that
// looked in between would say that the store is empty.
func TestAHoldThatIsGivenBackWaitsAtEachMoment(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	put(t, s, "due", 0, "")
	var claims sync.WaitGroup
	stop := make(chan struct{})
	claims.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			some, err := s.Claim(t.Context(), 1)
			if err != nil {
				t.Error(err)
			}
			for _, c := range some {
				if err := s.GiveBack(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for n := range 2000 {
		if ids, err := s.WaitingIDs(t.Context()); err != nil || len(ids) != 1 {
			t.Errorf("look %d: %v, %v", n, ids, err)
			break
		}
	}
	close(stop)
	claims.Wait()
}

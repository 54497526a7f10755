package server

import (
	"fmt"
	"testing"
)

// What a server that syncs always has answered outlives a power loss; what one that syncs every second has answered
// does not: so a test that cuts the power can fail.
func TestAPowerLossTakesWhatIsNotOnTheDisk(t *testing.T) {
	t.Parallel()
	written := 0
	loses := func(r *Redis) bool {
		for range 200 {
			written++
			r.Do(fmt.Sprint("SET k", written, " v"))
		}
		cut := r.PowerLoss()
		r.Start()
		return cut > 0 || r.Do("DBSIZE") != fmt.Sprintf(":%d\r\n", written)
	}
	start := func(sync string) *Redis {
		r := StartRedis(t, "--appendfsync", sync)
		r.WatchSyncs()
		r.Restart()
		written = 0
		return r
	}
	if loses(start("always")) {
		t.Error("always: something was lost")
	}
	r := start("everysec")
	Eventually(t, "something is lost", func() bool { return loses(r) }) // unless the second ends just then
}

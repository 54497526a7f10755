package server

import (
	"fmt"
	"strings"
	"testing"
)

// What a server that syncs always has answered outlives a power loss; what one that syncs every second has answered does
// not: so a test that cuts the power can fail.
func TestAPowerLossTakesWhatIsNotOnTheDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sync string
		all  bool
	}{{"always", true}, {"everysec", false}} {
		r := StartRedis(t, "--appendfsync", c.sync)
		r.WatchSyncs()
		r.Restart()
		for n := range 200 {
			r.Do(fmt.Sprint("SET k", n, " v"))
		}
		cut := r.PowerLoss()
		r.Start()
		all := strings.HasPrefix(r.Do("DBSIZE"), ":200\r")
		if all != c.all || c.all && cut > 0 {
			t.Errorf("%s: %d bytes were lost, and all is there: %v", c.sync, cut, all)
		}
	}
}

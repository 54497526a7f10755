package doctor

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// siteAt is a site whose store is at an address.
func siteAt(t *testing.T, address string) *Site {
	t.Helper()
	s := siteOf(t, "[redis]\naddresses = [\""+address+"\"]\n")
	store, err := holdstore.Open(holdstore.Options{Addresses: s.Config.Redis.Addresses, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s.Store = store
	return s
}

// asksRedis is what doctor finds in Redis, as it finds it in a gateway.
func (s *Site) asksRedis(ctx context.Context) []Finding {
	for {
		s.NoStore = s.Store.Ready(ctx)
		found := causes(gathered(func(r report) { redis(ctx, s, r) }))
		if !slices.Contains(checks(found), "redis.slow") { // as on any machine under load
			return found
		}
	}
}

// The clock of a real server goes wrong while it runs, and right again.
func TestARedisWithAWrongClockIsNamed(t *testing.T) {
	t.Parallel()
	server := server.StartRedis(t)
	server.OwnClock()
	server.Restart()
	s := siteAt(t, server.Addr)
	for _, c := range []struct {
		seconds int
		want    Level
		words   string
	}{{0, OK, ""}, {30, Warning, "ahead of ours"}, {-30, Warning, "behind ours"}, {300, Error, "ahead of ours"},
		{-300, Error, "behind ours"}, {0, OK, ""}} {
		server.SetClock(c.seconds)
		found := s.asksRedis(t.Context())
		fixed(t, found)
		got := strings.Join(checks(found), " ")
		if Worst(found) != c.want || c.want != OK && (got != "redis.clock" || !strings.Contains(found[0].Text, c.words)) {
			t.Errorf("off by %d s: %+v", c.seconds, found)
		}
	}
}

// A real server that says that it is older than it is; there is no older one in the distribution.
func TestARedisThatIsTooOldIsNamed(t *testing.T) {
	t.Parallel()
	between := server.StartProxy(t)
	between.Watched(func(_ int, toServer bool, piece []byte) bool {
		if _, version, is := bytes.Cut(piece, []byte("redis_version:")); !toServer && is && len(version) > 0 {
			version[0] = '6'
		}
		return true
	})
	between.To(server.StartRedis(t).Addr)
	found := siteAt(t, between.Addr).asksRedis(t.Context())
	if got := strings.Join(checks(found), " "); got != "redis.version" || Worst(found) != Error {
		t.Errorf("found %+v", found)
	}
	fixed(t, found)
}

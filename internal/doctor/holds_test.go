package doctor

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestWhatADefectHasParkedIsNamed(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	put := store.Put(holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
	receipt, err := put.Commit(t.Context(), holdstore.Terms{Rule: "default"})
	if err != nil {
		t.Fatal(err)
	}
	for range holdstore.ParkAfter {
		server.Eventually(t, "it is claimed", func() bool {
			claims, _ := store.Claim(t.Context(), 1)
			return len(claims) == 1 &&
				store.Settle(t.Context(), claims[0], holdstore.Settlement{Defect: "boom", RetryIn: time.Millisecond}) == nil
		})
	}
	s := siteOf(t, "[redis]\naddresses = [\""+redis.Addr+"\"]\n")
	s.Store = store
	found := gathered(func(r report) { holds(context.Background(), s, r) })
	if got := strings.Join(checks(found), " "); got != "holds.parked" ||
		!strings.HasPrefix(found[0].Fix, "recallctl release "+receipt.ID+" #") {
		t.Errorf("%+v", found)
	}
	fixed(t, found)
}

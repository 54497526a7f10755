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
		!strings.HasSuffix(found[0].Fix, "recallctl release "+receipt.ID) {
		t.Errorf("%+v", found)
	}
	fixed(t, found)
}

// A job is parked as a message is. What can't be counted, as the login may not read it, is named as well.
func TestWhatIsParkedOrCanNotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	s := siteAt(t, redis.Addr)
	put := s.Store.Put(holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
	if _, err := put.Commit(t.Context(), holdstore.Terms{Rule: "default", Grace: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.AddJob(t.Context(), "ask:one", holdstore.JobRequest, "data", 0); err != nil {
		t.Fatal(err)
	}
	for range holdstore.ParkAfter {
		server.Eventually(t, "the job is claimed", func() bool {
			j, _ := s.Store.ClaimJob(t.Context())
			return j != nil && s.Store.BreakJob(t.Context(), j, time.Millisecond, "boom") == nil
		})
	}
	redis.Do("ACL SETUSER default -getrange")
	found := gathered(func(r report) { holds(t.Context(), s, r) })
	if got := strings.Join(checks(found), " "); got != "holds.parked_jobs holds.unchecked" ||
		!strings.Contains(found[0].Text, "ask:one") {
		t.Errorf("%+v", found)
	}
	fixed(t, found)
}

// A key of a type that nothing can use is named, and so is the damaged record of a message.
func TestWhatIsDamagedInTheStoreIsNamed(t *testing.T) {
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
	redis.Do("HSET recall:{mh0}:h:" + receipt.ID + " due abc")
	redis.Do("DEL recall:{mh0}:own")
	redis.Do("RPUSH recall:{mh0}:own x")
	if _, err := store.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if claims, err := store.Claim(t.Context(), 1); len(claims) > 0 || err != nil {
		t.Fatalf("claimed %d, %v", len(claims), err)
	}
	s := siteOf(t, "[redis]\naddresses = [\""+redis.Addr+"\"]\n")
	s.Store = store
	found := gathered(func(r report) { holds(context.Background(), s, r) })
	if got := strings.Join(checks(found), " "); got != "holds.parked holds.aside" ||
		!strings.Contains(found[0].Text, receipt.ID) || !strings.Contains(found[1].Text, "aside:own") {
		t.Errorf("%+v", found)
	}
	fixed(t, found)
}

// A Redis that hangs is named in a few times what one look at it takes.
func TestARedisThatHangsIsNamedSoon(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{srv.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := siteOf(t, "[redis]\naddresses = [\""+srv.Addr+"\"]\n")
	s.Store = store
	srv.Pause()
	defer srv.Resume()
	began := time.Now()
	s.NoStore = store.Ready(t.Context())
	look := time.Since(began)
	found := gathered(func(r report) { redis(t.Context(), s, r); holds(t.Context(), s, r) })
	if got := strings.Join(checks(found), " "); got != "redis.reachable" || !strings.Contains(found[0].Fix, "hangs") {
		t.Errorf("%+v", found)
	}
	if took := time.Since(began); took > 3*look {
		t.Errorf("it took %v, and one look %v", took, look)
	}
}

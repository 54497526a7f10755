package holdstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestTheStoreOnACluster(t *testing.T) {
	c := server.StartCluster(t)
	s, err := Open(Options{Addresses: c.Addrs(), Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begin := time.Now()
	for n := range 200 {
		put(t, s, fmt.Sprint("m", n), 0, "x")
	}
	t.Log(time.Since(begin))
	for n := 0; n < 200; {
		cs, err := s.Claim(t.Context(), 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if err := s.Settle(t.Context(), c, Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}); err != nil {
				t.Fatal(err)
			}
		}
		n += len(cs)
	}
	st, err := s.Stats(t.Context())
	t.Log(st, err)
}

package holdstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Askers take turns, however many jobs one of them has; a busy one is passed by; and ours are in a lane of their own.
func TestAskersTakeTurns(t *testing.T) {
	s := open(t, server.StartRedis(t, "--appendfsync", "always").Addr)
	add := func(id string) {
		t.Helper()
		if err := s.AddJob(t.Context(), id, JobRequest, "x", 0); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 50 {
		add(JobIDPrefix("flood.test") + fmt.Sprint(n))
	}
	for _, asker := range []string{"a.test", "b.test"} {
		add(JobIDPrefix(asker) + "1")
		add(JobIDPrefix(asker) + "2")
	}
	add("report:1")
	claim := func(lane Lane) (*Job, string) {
		t.Helper()
		j, err := s.ClaimJob(t.Context(), lane)
		if err != nil {
			t.Fatal(err)
		}
		if j == nil {
			return nil, "none"
		}
		return j, j.Requester()
	}
	if j, _ := claim(OurLane); j == nil || j.ID != "report:1" || j.Requester() != "" {
		t.Errorf("in our lane is %+v", j)
	}
	if j, _ := claim(OurLane); j != nil {
		t.Errorf("in our lane is %+v as well", j)
	}
	var turns []string
	for range 7 {
		j, asker := claim(TheirLane())
		turns = append(turns, asker)
		if err := s.FinishJob(t.Context(), j, time.Hour); err != nil {
			t.Fatal(err)
		}
		next := time.Now().Add(2 * time.Millisecond)
		server.Eventually(t, "a millisecond is over", func() bool { return time.Now().After(next) })
	}
	for _, asker := range []string{"a.test", "b.test"} {
		if n := slices.Index(turns, asker); n < 0 || n > 2 || !slices.Contains(turns[n+1:], asker) {
			t.Errorf("%s had its turns late: %s", asker, turns)
		}
	}
	if _, asker := claim(TheirLane("flood.test")); asker != "none" {
		t.Errorf("all are busy, and %s has a turn", asker)
	}
	j, asker := claim(TheirLane())
	if asker != "flood.test" {
		t.Fatalf("%s has a turn", asker)
	}
	if err := s.RetryJob(t.Context(), j, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < 47; {
		j, err := s.ClaimJob(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if j != nil && s.FinishJob(t.Context(), j, time.Hour) == nil {
			done++
		}
	}
	if left := s.nodes.Client.Exists(t.Context(), string(s.nodes.Shards[0])+"jobs:in").Val(); left != 0 {
		t.Error("nothing is left to do, and an asker waits for a turn")
	}
}

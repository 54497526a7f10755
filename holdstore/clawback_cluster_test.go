package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// clawsInCluster has claw backs ordered and ended that are in several shards of a Cluster, and returns how many.
func clawsInCluster(t *testing.T, s *Store) (many int) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	const messages = 30
	for n := range messages {
		cameIn(t, s, fmt.Sprintf("<bait-%d@evil.test>", n), "bait", "b", now, fmt.Sprintf("u%d@corp.test", n))
	}
	found, _, err := s.FindDelivered(ctx, DeliveredQuery{Subject: "bait"})
	if err != nil || len(found) != messages {
		t.Fatalf("%d of %d are found: %v", len(found), messages, err)
	}
	shards := map[string]bool{}
	for ; len(shards) < 2 || many < 8; many++ {
		id := s.NewClawID()
		shards[string(s.nodes.Of(id))] = true
		var targets []any
		for _, d := range found {
			targets = append(targets, d.Recipients[0])
		}
		if err := s.AddClawBack(ctx, id, "what", targets, time.Hour, Entry{Verb: "retract"}); err != nil {
			t.Fatal(err)
		}
		for n := range targets {
			if err := s.PlanClaw(ctx, id, n, "plan"); err != nil {
				t.Fatal(err)
			}
			if err := s.EndClaw(ctx, id, n, "moved", "result", false, time.Hour, Entry{Verb: "retract"}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.ClawBack(ctx, id)
		counts, wrong := s.ClawCounts(ctx, id, []string{"moved", "refused"})
		if err != nil || wrong != nil || c.Left != 0 || !slices.Equal(counts, []int{messages, 0}) {
			t.Errorf("%+v, %v: %v, %v", c, counts, err, wrong)
		}
	}
	if all, err := s.ClawBacks(ctx, 100); err != nil || len(all) != many {
		t.Errorf("%d of %d claw backs are listed: %v", len(all), many, err)
	}
	return many
}

// clawsPartly says whether a part of a Cluster that is away is told, and what is there is shown.
func clawsPartly(ctx context.Context, t *testing.T, s *Store, many int) {
	t.Helper()
	if _, _, err := s.FindDelivered(ctx, DeliveredQuery{Subject: "bait"}); !errors.Is(err, ErrPartial) {
		t.Errorf("with a part away, a search for what came in says %v", err)
	}
	all, err := s.ClawBacks(ctx, 100)
	if !errors.Is(err, ErrPartial) || len(all) > many {
		t.Errorf("with a part away %d claw backs are listed: %v", len(all), err)
	}
}

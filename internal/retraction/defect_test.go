package retraction

import (
	"context"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// endless is a store that panics when a job's end is written.
type endless struct{ Store }

func (e endless) FinishJob(context.Context, *holdstore.Job, time.Duration) error { panic("an end") }

// A job whose end meets a defect each time is parked, and ends neither the daemon nor another job.
func TestAJobWhoseEndMeetsADefectIsParked(t *testing.T) {
	store, post := site(t)
	log := &notes{outcomes: map[string]string{}}
	x := New(endless{store}, post, &boxesOf{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	order(x, t, "X", "bert@far.test")
	for range holdstore.ParkAfter {
		x.do(t.Context(), claimed(t, store))
	}
	if _, jobs, err := store.Parked(t.Context(), 10); err != nil || len(jobs) != 1 {
		t.Errorf("parked: %q (%v)", jobs, err)
	}
	if log.of("bert@far.test") != protocol.StatusRetracted {
		t.Errorf("outcomes %q", log.outcomes)
	}
}

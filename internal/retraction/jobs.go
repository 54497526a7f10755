package retraction

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

// jobRetract is the kind of a job whose data is an Order.
const jobRetract = "retract"

const (
	hands    = 32                 // jobs of our own users at a time, as many of others, and of claw backs
	shared   = 2                  // of one asker, or of one domain of a claw back: so many hang with its server
	idle     = 5 * time.Second    // longest sleep: a wake-up that was lost delays a job by no more
	jobTime  = 90 * time.Second   // for the mailboxes of one attempt
	endTime  = holdstore.JobLease // for saying what came of it
	firstTry = 2 * time.Second    // between the first two attempts; doubled each time
	longest  = 5 * time.Minute
)

// Run does jobs until ctx ends, and waits for those that are under way. What our own users do has hands of its own, and
// so have claw backs; no asker, and no domain of a claw back, has all of the others.
func (x *Retractor) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		x.work(ctx, func(busy []string) []holdstore.Lane {
			return []holdstore.Lane{holdstore.OurLane, holdstore.UserLane(busy...)}
		})
	})
	wg.Go(func() {
		x.work(ctx, func(busy []string) []holdstore.Lane { return []holdstore.Lane{holdstore.OperatorLane(busy...)} })
	})
	x.work(ctx, func(busy []string) []holdstore.Lane { return []holdstore.Lane{holdstore.TheirLane(busy...)} })
}

// work does the jobs of some lanes, those of the first one first.
func (x *Retractor) work(ctx context.Context, lanes func(busy []string) []holdstore.Lane) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wake := x.store.Wake(ctx)
	free := make(chan struct{}, hands)
	at := &askers{at: map[string]int{}}
	for ctx.Err() == nil {
		free <- struct{}{}
		var j *holdstore.Job
		asked := time.Now()
		err := x.try("a claim of jobs for recalls, which is made again", func() (err error) {
			j, err = x.store.ClaimJob(ctx, lanes(at.busy())...)
			return err
		})
		if ctx.Err() == nil {
			x.claiming.Note(x.log, asked, err, "recall requests and reports wait until the store answers again",
				"recall requests and reports go on")
		}
		if j != nil {
			at.add(j.Requester(), 1)
			wg.Go(func() { x.do(ctx, j); at.add(j.Requester(), -1); <-free })
			continue
		}
		<-free
		sleep(ctx, wake, at.waits())
	}
}

// askers counts the jobs of each asker that are under way.
type askers struct {
	mu sync.Mutex
	at map[string]int
}

func (a *askers) add(asker string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at[asker] += n; a.at[asker] <= 0 {
		delete(a.at, asker)
	}
}

// busy lists the askers that have their share of the hands.
func (a *askers) busy() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for asker, n := range a.at {
		if asker != "" && n >= shared {
			all = append(all, asker)
		}
	}
	return all
}

// waits is how long at most to sleep: a busy asker may have more jobs.
func (a *askers) waits() time.Duration {
	if len(a.busy()) > 0 {
		return firstTry / 10
	}
	return idle
}

func sleep(ctx context.Context, wake <-chan struct{}, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// do makes one attempt, and ends it in time of its own: what became of it must be written also when the attempt had no
// time left. It goes on when the daemon drains: it is short, and half of it would be done again. A panic costs this job
// an attempt (try), and after three of them the job is parked.
func (x *Retractor) do(ctx context.Context, j *holdstore.Job) {
	ctx = context.WithoutCancel(ctx)
	err := x.timed(ctx, j)
	end, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	err = x.try("the end of the job "+j.ID, func() error {
		return insist(end, func() error { return x.end(end, j, err) })
	})
	if broken := defect(""); errors.As(err, &broken) {
		err = x.try("the giving back of the job "+j.ID, func() error {
			return x.store.BreakJob(end, j, backOff(j), string(broken))
		})
	}
	if err != nil && !errors.Is(err, holdstore.ErrLost) {
		x.log.Trouble("a job for recalls ("+j.ID+") will be done again, which changes nothing", err)
	}
}

// timed makes one attempt, which ends when its time does.
func (x *Retractor) timed(ctx context.Context, j *holdstore.Job) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime+endTime)
	defer cancel()
	return x.renewed(ctx, j)
}

// end says in the store what came of an attempt, and then in the log: it is called again while the store is away.
func (x *Retractor) end(ctx context.Context, j *holdstore.Job, err error) error {
	if err == nil || errors.Is(err, holdstore.ErrLost) {
		failed := x.store.FinishJob(ctx, j, x.o.Keep)
		if err == nil && failed == nil && j.Attempts > 1 {
			x.log.Recovered("the job for recalls "+j.ID+" is done", time.Since(j.Since))
		}
		return failed
	}
	in := max(backOff(j), mailbox.Wait(err))
	var look later
	var broken defect
	switch {
	case errors.As(err, &look):
		return x.store.WaitJob(ctx, j, time.Duration(look))
	case errors.Is(err, errNotItsTurn):
		return x.store.WaitJob(ctx, j, firstTry)
	case errors.As(err, &broken):
		return x.store.BreakJob(ctx, j, in, string(broken))
	}
	failed := x.store.RetryJob(ctx, j, in)
	if failed == nil && j.Attempts == 1 {
		x.log.Trouble("a job for recalls ("+j.ID+") is tried again until it is done", err)
	}
	return failed
}

// backOff is the pause before a job's next attempt.
func backOff(j *holdstore.Job) time.Duration { return min(firstTry<<min(j.Attempts-1, 10), longest) }

// defect is what a panic said.
type defect string

func (d defect) Error() string { return "a defect of the daemon: " + string(d) }

// try runs f. A panic in it is reported, and becomes a defect: it costs one job an attempt, and after some of them
// parks it.
func (x *Retractor) try(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			x.log.Panicked(what, v, debug.Stack())
			err = defect(fmt.Sprint(v))
		}
	}()
	return f()
}

// renewed makes one attempt while the lease is renewed.
func (x *Retractor) renewed(ctx context.Context, j *holdstore.Job) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		_ = x.try("the renewal of the lease of the job "+j.ID, func() error { x.renew(ctx, cancel, j); return nil })
	})
	return x.try("an attempt of the job "+j.ID+", which is tried again", func() error { return x.attempt(ctx, j) })
}

func (x *Retractor) renew(ctx context.Context, cancel func(), j *holdstore.Job) {
	tick := time.NewTicker(holdstore.JobLease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if errors.Is(x.store.RenewJob(ctx, j), holdstore.ErrLost) {
				cancel()
			}
		}
	}
}

// insist repeats what a store that is away for a moment could not do: else the job waits for its lease to end.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, holdstore.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(firstTry / 4):
		}
	}
}

func (x *Retractor) attempt(ctx context.Context, j *holdstore.Job) error {
	var err error
	switch j.Kind {
	case holdstore.JobRequest:
		var asked holdstore.Request
		if err = j.Read(&asked); err == nil {
			return x.ask(ctx, asked)
		}
	case holdstore.JobReport:
		var id string
		if err = j.Read(&id); err == nil {
			return x.report(ctx, id, j.Done > 0)
		}
	case jobRetract:
		var o Order
		if err = j.Read(&o); err == nil {
			return x.retract(ctx, j, &o)
		}
	case clawback.JobKind:
		var p clawback.Part
		if err = j.Read(&p); err == nil {
			return x.clawBack(ctx, j, &p)
		}
	default:
		return errors.New("this version does not know such a job: " + j.Kind) // a newer gateway on this store does it
	}
	if errors.Is(err, holdstore.ErrNoKey) { // it waits for its key
		return err
	}
	x.log.Trouble("a job for recalls can't be read, and is given up", err)
	return nil
}

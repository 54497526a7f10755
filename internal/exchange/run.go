package exchange

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// jobRetract is the kind of a job whose data is an Order.
const jobRetract = "retract"

const (
	hands    = 4               // jobs at a time
	idle     = 5 * time.Second // longest sleep: a wake-up that was lost delays a job by no more
	jobTime  = 90 * time.Second
	firstTry = 2 * time.Second // between the first two attempts; doubled each time
	longest  = 5 * time.Minute
)

// Run does jobs until ctx ends, and waits for those that are under way.
func (x *Exchange) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wake := x.store.Wake(ctx)
	free := make(chan struct{}, hands)
	told := false
	for ctx.Err() == nil {
		free <- struct{}{}
		j, err := x.store.ClaimJob(ctx)
		if err != nil && !told && ctx.Err() == nil {
			x.log.Trouble("recall requests and reports wait until the store answers again", err)
		}
		told = err != nil
		if j != nil {
			wg.Go(func() { x.do(ctx, j); <-free })
			continue
		}
		<-free
		sleep(ctx, wake)
	}
}

func sleep(ctx context.Context, wake <-chan struct{}) {
	t := time.NewTimer(idle)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// do makes one attempt. It goes on when the daemon drains: it is short, and half of it would be done again.
func (x *Exchange) do(ctx context.Context, j *holdstore.Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobTime)
	defer cancel()
	err := x.renewed(ctx, j)
	end := func() error { return x.store.FinishJob(ctx, j, x.o.Keep) }
	if err != nil && !errors.Is(err, holdstore.ErrLost) {
		in := min(firstTry<<min(j.Attempts-1, 10), longest)
		var look later
		if errors.As(err, &look) {
			in = time.Duration(look)
		} else if j.Attempts == 1 {
			x.log.Trouble("a job for recalls ("+j.ID+") is tried again until it is done", err)
		}
		end = func() error { return x.store.RetryJob(ctx, j, in) }
	}
	if err := insist(ctx, end); err != nil && !errors.Is(err, holdstore.ErrLost) {
		x.log.Trouble("a job for recalls ("+j.ID+") will be done again, which changes nothing", err)
	}
}

// renewed makes one attempt while the lease is renewed.
func (x *Exchange) renewed(ctx context.Context, j *holdstore.Job) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
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
	})
	return x.attempt(ctx, j)
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

func (x *Exchange) attempt(ctx context.Context, j *holdstore.Job) error {
	var err error
	switch j.Kind {
	case holdstore.JobAsk:
		var asked holdstore.Asked
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
	default:
		return errors.New("this version does not know such a job: " + j.Kind) // a newer gateway on this store does it
	}
	x.log.Trouble("a job for recalls can't be read, and is given up", err)
	return nil
}

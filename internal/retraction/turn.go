package retraction

import (
	"context"
	"errors"
	"time"
)

// turnTime is how long a job has a mailbox at most: longer than an attempt lasts, for daemons that die meanwhile. The
// job itself goes on at once, wherever it is claimed again.
const turnTime = jobTime + time.Minute

// errNotItsTurn says that another job is in the mailbox. It is tried again soon.
var errNotItsTurn = errors.New("another recall or claw back is in the mailbox")

// alone does some work in a mailbox while no other job is in it, on any gateway of the store. errNotItsTurn.
func (x *Retractor) alone(ctx context.Context, recipient, job string, work func() error) error {
	yes, err := x.store.EnterMailbox(ctx, recipient, job, turnTime)
	if err != nil {
		return err
	}
	if !yes {
		return errNotItsTurn
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		_ = x.store.LeaveMailbox(end, recipient, job) // else the turn ends by itself
	}()
	return work()
}

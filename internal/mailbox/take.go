package mailbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// worst orders outcomes, the best first: of several copies the worst is what became of the message.
var worst = []string{NotFound, Retracted, Replaced, Moved, Read, Refused}

// take treats every copy of the message.
func (o *box) take(t Target, plan func(Result) error) (Result, error) {
	copies, skipped, err := o.find(t)
	if err != nil {
		return Result{}, err
	}
	if len(copies) == 0 {
		return o.absent(t, skipped)
	}
	var all []Result
	for _, c := range copies {
		r, err := o.takeOne(t, c, func(r Result) error { return plan(combined(append(slices.Clone(all), r))) })
		if err != nil {
			return Result{}, err
		}
		all = append(all, r)
	}
	return combined(all), nil
}

// combined is the result of several copies.
func combined(all []Result) Result {
	r, taken := all[0], all[0].Taken
	for _, other := range all[1:] {
		taken = taken.and(other.Taken)
		if slices.Index(worst, other.Outcome) > slices.Index(worst, r.Outcome) {
			r = other
		}
	}
	if r.Taken = taken; len(all) > 1 {
		r.Detail = fmt.Sprintf("%d copies; the worst: %s", len(all), r.Detail)
	}
	return r
}

// absent is the answer when no copy is there: a notice tells that an earlier try replaced it.
func (o *box) absent(t Target, skipped string) (Result, error) {
	if o.s.p.Unread == "replace" {
		left, _, err := o.find(Target{Recipient: t.Recipient, MessageID: noticeID(t), From: noticeFrom(t)})
		if err != nil || len(left) > 0 {
			return Result{Outcome: Replaced, Detail: "unread"}, err
		}
	}
	if skipped != "" {
		return Result{Outcome: NotFound, Detail: "some folder could not be searched", Folder: skipped}, nil
	}
	return Result{Outcome: NotFound}, nil
}

// state is what may change of a message while we look at it.
type state struct {
	flags   []imap.Flag
	changed uint64 // mod-sequence, 0 without CONDSTORE
}

var errChanges = errors.New("the message's flags change while it is looked at")

// takeOne treats one copy: as its user has left it at this moment.
func (o *box) takeOne(t Target, c found, plan func(Result) error) (Result, error) {
	validity, err := o.selects(c.folder.name, o.s.p.DryRun)
	if err != nil {
		return c.failed(err)
	}
	if validity != c.validity {
		return Result{}, errors.New("the folder was rebuilt while it was looked at")
	}
	for range 3 {
		now, there, err := o.look(c)
		if err != nil || !there {
			return Result{Outcome: NotFound, Detail: "its user has just removed it"}, err
		}
		policy, r := o.s.p.Unread, Result{Outcome: Retracted, Detail: "unread, " + c.folder.of(), Folder: c.folder.name}
		if why := touched(now.flags); why != "" {
			policy, r.Outcome, r.Detail = o.s.p.Read, Read, why+", "+c.folder.of()
		}
		r, again, err := o.act(t, c, now, policy, r, plan)
		if err != nil {
			return c.failed(err)
		}
		if !again {
			return r, nil
		}
	}
	return Result{}, errChanges
}

// failed is a refusal, or an error that is worth another try.
func (c found) failed(err error) (Result, error) {
	if why := refusal(err); why != "" {
		return Result{Outcome: Refused, Detail: why, Folder: c.folder.name}, nil
	}
	return Result{}, err
}

// act does what the policy says with one copy. again: its flags changed, so the policy has to be asked again.
func (o *box) act(t Target, c found, now state, policy string, r Result, plan func(Result) error) (_ Result,
	again bool, err error) {
	target, move := strings.CutPrefix(policy, "move:")
	switch {
	case policy == "keep":
		return r, false, nil
	case move:
		if r.Outcome != Read {
			r.Outcome = Moved
		}
		return o.move(t, c, target, r)
	case o.archives() && c.folder.special != imap.MailboxAttrTrash:
		return o.toTrash(t, c, r, plan)
	case !o.canExpunge():
		r.Outcome, r.Detail = Refused, "the mail server can't remove one message alone"
		return r, false, nil
	case policy == "replace":
		r.Outcome = Replaced
	case r.Outcome == Read:
		r.Detail += "; removed by the policy"
	}
	if o.s.p.DryRun {
		return tried(r), false, nil
	}
	if policy != "replace" { // a notice is in its place
		r.Taken = takenAs(r.Outcome)
	}
	if err := plan(r); err != nil {
		return r, false, err
	}
	if again, err = o.mark(c, now); err != nil || again {
		return r, again, err
	}
	if policy == "replace" {
		if err := o.replace(t, c); err != nil {
			return r, false, errors.Join(err, o.unmark(c))
		}
	}
	return o.expunge(c, r)
}

// tried is the result of a dry run: nothing was done, and nothing is promised.
func tried(r Result) Result {
	r.Outcome, r.Detail = Refused, "dry run: would be "+r.Outcome+", "+r.Detail
	return r
}

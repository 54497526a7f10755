package recall

import (
	"context"
	"fmt"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// officeRate is how many times the rate of one sender a client without a login may use, or a login that many share: a
// whole office may be behind it.
const officeRate = 10

// A command reads the whole records of what it means, and its answer names each recipient. A record of 50,000
// recipients has megabytes, and takes many times as much memory, so few such commands are done at a time; others never
// wait for them.
const (
	roomBytes  = 4 << 20  // of the records that all commands have read
	smallBytes = 64 << 10 // a command for less takes no room

	originalsMost = 200_000 // recipients of the messages that a recall without a Message-ID chooses from
)

// admit refuses commands beyond the rate, and waits until there is room for the records that a command reads. leave
// must be called when the command is answered.
func (d *Desk) admit(ctx context.Context, r *request) (leave func(), refusal string, err error) {
	beyond, err := d.beyondRate(ctx, r)
	switch {
	case err != nil:
		return nil, "", err
	case beyond:
		d.log.Commanded(r.mail.Submission, "any", "refused", "rate")
		return nil, fmt.Sprintf("550 5.7.1 too many recalls: %d in %v are allowed; ask your administrator, or try again "+
			"later", d.o.Rate, d.o.Per), nil
	}
	leave, err = d.enter(ctx, r)
	return leave, "", err
}

// beyondRate counts a command, in the store for all gateways: of a person's login; else of each sender behind a login
// or a client, and of all of them, since their addresses can be made up.
func (d *Desk) beyondRate(ctx context.Context, r *request) (bool, error) {
	if d.o.Rate <= 0 {
		return false, nil
	}
	if r.by.office != "" {
		if beyond, err := d.above(ctx, r.by.office, officeRate*d.o.Rate); err != nil || beyond {
			return true, err
		}
	}
	return d.above(ctx, r.by.name, d.o.Rate)
}

// above counts one command more.
func (d *Desk) above(ctx context.Context, name string, most int) (bool, error) {
	n, err := d.store.Count(ctx, d.o.Per, holdstore.Tally{Name: name, By: 1})
	return err == nil && n[0] > most, err
}

// answerBeyondRate tells the sender that nothing was replaced: once in each span, since such a sender is mostly a
// program.
func (d *Desk) answerBeyondRate(ctx context.Context, r *request) error {
	if told, err := d.above(ctx, "told "+r.by.name, 1); told || err != nil {
		return err
	}
	why := fmt.Sprintf("%d recalls in %v are allowed, and this was one more. The new message goes out", d.o.Rate, d.o.Per)
	return d.tell(ctx, r, &answer{Answer: post.Answer{Kind: "refused", Asked: r.target.Refs[0], Why: why}})
}

// enter waits until there is room for the records that a command names, or for the submitter's newest that it looks at.
func (d *Desk) enter(ctx context.Context, r *request) (leave func(), err error) {
	newest := map[string]int{formAddress: lastLooked, formOutlook: latestLooked}[r.form]
	if len(r.target.Refs) > 0 {
		newest = 0
	}
	refs := slices.Clone(r.target.Refs[:min(len(r.target.Refs), command.MaxRefs)])
	for n, ref := range refs {
		if about, ours := aboutHold(ref); ours {
			refs[n] = about
		}
	}
	bytes, err := d.store.RecordBytes(ctx, refs, r.by.whose, newest)
	if err != nil || bytes < smallBytes {
		return func() {}, err
	}
	bytes = min(bytes, roomBytes)
	if err := d.room.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { d.room.Release(bytes) }, nil
}

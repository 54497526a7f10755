package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

// overview shows which messages were found, before anything is done to them. It is for people: a program reads what
// came of each mailbox.
func (r *retract) overview(f *clawback.Found, boxes int) {
	if r.json {
		return
	}
	rows := [][]string{{"CAME IN", "AUTHOR", "SUBJECT", "MAILBOXES", "MESSAGE-ID"}}
	for n, m := range f.Messages {
		if n == shownAfter {
			rows = append(rows, []string{fmt.Sprintf("... and %d more", len(f.Messages)-n)})
			break
		}
		rows = append(rows, overviewRow(m))
	}
	r.lay(rows)
	if len(f.Apart) == 0 {
		return
	}
	words := "left alone (--apart takes them as well)"
	if r.apart != "" {
		words = "taken as well"
	}
	r.say("the same Message-ID with another content or author, %s:", words)
	rows = nil
	for _, m := range f.Apart[:min(len(f.Apart), shownAfter)] {
		rows = append(rows, overviewRow(m))
	}
	r.lay(rows)
}

func overviewRow(m clawback.Message) []string {
	return []string{local(m.At), m.Author, m.Subject, fmt.Sprint(len(m.Recipients)), m.MessageID}
}

// lay writes rows to people, next to the answer.
func (r *retract) lay(rows [][]string) {
	for i := range rows {
		for len(rows[i]) < len(rows[0]) {
			rows[i] = append(rows[i], "")
		}
	}
	width, _ := r.size()
	var c columns
	for _, line := range c.lines(rows, width) {
		fmt.Fprintln(r.stderr, line)
	}
}

// unmoved is after how long without progress people hear that no daemon may be at work.
const unmoved = 20 * time.Second

// follow waits until a claw back has ended, and shows what came of each mailbox. Whoever does not wait sees it as it
// is.
func (r *retract) follow(ctx context.Context, id string, wait bool) error {
	var c *holdstore.ClawBack
	bar := r.progress(0)
	defer bar.done()
	last, since, told := -1, time.Now(), false
	for {
		var err error
		if c, err = r.store.ClawBack(ctx, strings.ToUpper(id)); errors.Is(err, holdstore.ErrNotFound) {
			return &exit{exitNothing, "claw back " + id + " is not known; " + r.command("retract --status") + " lists them"}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("claw back %s goes on; %s shows what comes of it: %w", id, r.command("retract --status "+id), err)
		}
		if c == nil || c.Left == 0 || !wait || ctx.Err() != nil {
			break
		}
		bar.of(c.Mailboxes-c.Left, c.Mailboxes)
		if c.Left != last {
			last, since = c.Left, time.Now()
		} else if !told && time.Since(since) > unmoved {
			told = true
			r.say("still waiting for %s: their server may be away, or no daemon with [inbound.mailbox] runs; "+
				"Ctrl-C ends this list only", mailboxes(c.Left))
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
	bar.done()
	if ctx.Err() != nil {
		r.say("claw back %s goes on without this list; %s shows what comes of it", id, r.command("retract --status "+id))
		return nil
	}
	return r.outcomes(ctx, c)
}

const followPause = 100 * time.Millisecond

// clawLine is what came of one mailbox, in JSON.
type clawLine struct {
	ClawBack  string `json:"claw_back"`
	Mailbox   string `json:"mailbox"`
	MessageID string `json:"message_id"`
	Outcome   string `json:"outcome"` // of docs/api.md; "pending" while it is to be done
	Detail    string `json:"detail,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
}

// outcomes shows one outcome for each mailbox, and how many there are of each.
func (r *retract) outcomes(ctx context.Context, c *holdstore.ClawBack) error {
	var o clawback.Order
	if err := c.Read(&o); err != nil {
		return err
	}
	sums, others, changed := map[string]int{}, 0, 0
	rows := [][]string{{"MAILBOX", "OUTCOME", "DETAIL", "MESSAGE-ID"}}
	err := clawback.Outcomes(ctx, r.store, c, func(one clawback.Outcome) error {
		outcome := one.Outcome()
		sums[outcome]++
		others += one.Result.Others
		changed += one.Result.Changed
		if r.json {
			return r.encode(clawLine{c.ID, one.Mailbox.Recipient, one.Mailbox.MessageID, outcome, one.Result.Detail, o.DryRun})
		}
		rows = append(rows, []string{one.Mailbox.Recipient, clawback.Words(outcome, o.DryRun), one.Result.Detail,
			one.Mailbox.MessageID})
		return nil
	})
	if err != nil {
		return err
	}
	if !r.json {
		r.table(rows[0], rows[1:])
	}
	if others > 0 {
		r.say("%s with the same Message-ID and another content stay where they are", count(others))
	}
	if changed > 0 {
		r.say("%s with the same Message-ID and another content were taken as well", count(changed))
	}
	var words []string
	for _, outcome := range clawback.AllOutcomes {
		if n := sums[outcome]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, clawback.Words(outcome, o.DryRun)))
		}
	}
	r.say("%s: %s", mailboxes(c.Mailboxes), strings.Join(words, ", "))
	if o.Of == "" && !o.DryRun && sums[mailbox.Moved] > 0 {
		r.say("to move them back: %s", r.command("retract --undo "+c.ID))
	}
	if n := sums[mailbox.Refused] + sums[clawback.Pending]; n > 0 {
		return &exit{exitTooLate, fmt.Sprintf("%s could not be done, or not yet", mailboxes(n))}
	}
	return nil
}

// listed is how many claw backs are listed.
const listed = 100

// clawHead is a claw back in JSON.
type clawHead struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Reason    string    `json:"reason,omitempty"`
	What      string    `json:"what"`
	Mailboxes int       `json:"mailboxes"`
	Left      int       `json:"left"`
}

// listAll lists the newest claw backs.
func (r *retract) listAll(ctx context.Context) error {
	all, err := r.store.ClawBacks(ctx, listed)
	if err := r.part(err); err != nil {
		return err
	}
	var rows [][]string
	for _, c := range all {
		var o clawback.Order
		if err := c.Read(&o); err != nil {
			r.failure(c.ID, err)
			continue
		}
		if r.json {
			if err := r.encode(clawHead{c.ID, c.At, o.By, o.Reason, o.Goal(), c.Mailboxes, c.Left}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{c.ID, local(c.At), fmt.Sprint(c.Mailboxes), fmt.Sprint(c.Left), o.Goal(), o.By,
			o.Reason})
	}
	switch {
	case len(all) == 0:
		r.say("no claw backs")
	case !r.json && len(rows) > 0:
		r.table([]string{"ID", "ORDERED", "MAILBOXES", "LEFT", "WHAT", "BY", "REASON"}, rows)
	}
	return nil
}

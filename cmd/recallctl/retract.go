package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

// retract is one call of recallctl retract.
type retract struct {
	*act
	query        holdstore.DeliveredQuery
	since, until string
	folder       string
	delete       bool
	apart        string // empty: left alone
	undo, status bool
}

func (c *ctl) retract() *cobra.Command {
	r := &retract{act: &act{ctl: c, name: "retract"}}
	cmd := &cobra.Command{Use: "retract [MESSAGE-ID...]", RunE: c.onStore(r.run)}
	flags := cmd.Flags()
	flags.Var((*wanted)(&r.query.Sender), "sender", "author or envelope sender: an `address`, @domain, or a pattern")
	flags.Var((*wanted)(&r.query.Recipient), "recipient", "only the mailboxes of this `address`, @domain, or pattern")
	flags.Var((*wanted)(&r.query.Subject), "subject", "a part of the subject, or a pattern for all of it")
	flags.Var((*wanted)(&r.since), "since", "came in since `time`: 90m or 5d ago, yesterday, 09:30, 2026-05-01")
	flags.Var((*wanted)(&r.until), "until", "came in until `time`")
	flags.StringVar(&r.folder, "to", "", "move to this `folder` of each mailbox, in place of the server's trash")
	flags.BoolVar(&r.delete, "delete", false, "delete for good: this can't be undone")
	flags.StringVar(&r.apart, "apart", "",
		"also copies with the same Message-ID that came in with another content or author; =changed: also what has the "+
			"Message-ID in these mailboxes, whatever its `content`")
	flags.Lookup("apart").NoOptDefVal = apartKnown
	flags.BoolVar(&r.undo, "undo", false, "move back what was moved: arguments are IDs of claw backs, or Message-IDs")
	flags.BoolVar(&r.status, "status", false, "show what came of claw backs, by their IDs; without one list them")
	flags.StringVar(&r.reason, "reason", "", "why, as `text` for the audit trail")
	flags.BoolVar(&r.yes, "yes", false, "do it without asking")
	flags.BoolVar(&r.dryRun, "dry-run", false, "only look into the mailboxes, and say what would be done")
	return cmd
}

// Values of --apart.
const (
	apartKnown   = "known"
	apartChanged = "changed"
)

// run takes messages out of mailboxes, gives them back, or shows what came of it.
func (r *retract) run(ctx context.Context, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	switch {
	case r.status && len(args) == 0:
		return r.listAll(ctx)
	case r.status:
		for _, id := range args {
			if err := r.follow(ctx, id, false); err != nil {
				return err
			}
		}
		return nil
	case !r.config.Inbound.Mailbox.Any():
		return usage("no mailbox can be reached: set [inbound.mailbox] in the config " +
			"(/usr/share/doc/recall-milter/docs/mailbox.md)")
	case r.undo:
		return r.giveBack(ctx, args)
	}
	return r.takeBack(ctx, args)
}

// check says what does not go together.
func (r *retract) check(args []string) error {
	q := r.query
	filters := q.Sender+q.Recipient+q.Subject+r.since+r.until != ""
	switch {
	case r.apart != "" && r.apart != apartKnown && r.apart != apartChanged:
		return usage("--apart=%s: write --apart, or --apart=%s", r.apart, apartChanged)
	case r.undo && r.status, r.delete && r.folder != "":
		return usage("these flags exclude each other: --undo and --status, --delete and --to")
	case (r.undo || r.status) && (filters || r.folder != "" || r.delete || r.apart != ""):
		return usage("--undo and --status take IDs, and none of the flags that choose messages or what is done to them")
	case r.undo && len(args) == 0:
		return usage("say which claw back to undo: %s lists them", r.command("retract --status"))
	case !r.undo && !r.status && len(args) == 0 && !filters:
		return usage("say which messages: a Message-ID, or a filter like --sender")
	}
	return nil
}

// takeBack finds the messages, shows how many there are, and takes them out.
func (r *retract) takeBack(ctx context.Context, ids []string) error {
	q, err := r.ready(ids)
	if err != nil {
		return err
	}
	found, err := clawback.Find(ctx, r.store, q)
	if err := r.part(err); err != nil {
		return err
	}
	boxes := found.Mailboxes(r.apart != "")
	if found.Unread > 0 {
		r.say("warning: %s can't be read, because the seal key is missing", count(found.Unread))
	}
	if len(boxes) == 0 {
		return &exit{exitNothing, "nothing that came in " + r.looked(q) + " matches; nothing was changed"}
	}
	r.overview(found, len(boxes))
	o := clawback.Order{Folder: r.folder, Delete: r.delete, DryRun: r.dryRun, Changed: r.apart == apartChanged}
	what := fmt.Sprintf("take %s out of %s, %s",
		count(len(found.Messages)+map[bool]int{true: len(found.Apart)}[r.apart != ""]), mailboxes(len(boxes)), o.Goal())
	if err := r.sureOf(what); err != nil {
		return err
	}
	return r.order(ctx, o, boxes, what)
}

// ready is the query that the flags mean.
func (r *retract) ready(ids []string) (q holdstore.DeliveredQuery, err error) {
	q, now := r.query, time.Now()
	q.MessageIDs = ids
	q.Sender, q.Recipient = criteria.Address(q.Sender), criteria.Address(q.Recipient)
	if q.Since, err = moment("since", r.since, now); err != nil {
		return q, err
	}
	if q.Until, err = moment("until", r.until, now); err != nil {
		return q, err
	}
	if !q.Until.IsZero() && q.Until.Before(q.Since) {
		return q, usage("--until %s is before --since %s", r.until, r.since)
	}
	return q, nil
}

// looked is which time was looked through: what came in earlier than inbound.remember is not known any more.
func (r *retract) looked(q holdstore.DeliveredQuery) string {
	oldest := time.Now().Add(-time.Duration(r.config.Inbound.Remember))
	words := "since " + local(q.Since)
	if q.Since.Before(oldest) {
		words = "since " + local(oldest) + " (inbound.remember)"
	}
	if !q.Until.IsZero() {
		words += " and until " + local(q.Until)
	}
	return words
}

// giveBack undoes claw backs.
func (r *retract) giveBack(ctx context.Context, ids []string) error {
	for _, ref := range ids {
		some, err := r.meant(ctx, ref)
		if err != nil {
			return err
		}
		nothing := true
		for _, c := range some {
			boxes, err := clawback.Moved(ctx, r.store, c)
			if err != nil {
				return err
			}
			whole := !strings.Contains(ref, "@")
			if !whole {
				other := func(m clawback.Mailbox) bool { return !holdstore.SameID(m.MessageID, ref) }
				boxes = slices.DeleteFunc(boxes, other)
			}
			stops := c.Left > 0 && whole && !r.dryRun
			if len(boxes) == 0 && !stops {
				continue
			}
			nothing = false
			if err := r.undoes(ctx, c, boxes, whole); err != nil {
				return err
			}
		}
		if nothing {
			return &exit{exitNothing, ref + ": nothing was moved that could be moved back"}
		}
	}
	return nil
}

// undoes moves messages back. An undo of the whole also stops what is still under way, also when nothing was moved yet.
func (r *retract) undoes(ctx context.Context, c *holdstore.ClawBack, boxes []clawback.Mailbox, whole bool) error {
	what := "move messages back in " + mailboxes(len(boxes))
	if len(boxes) == 0 {
		what = "stop claw back " + c.ID
	}
	if err := r.sureOf(what); err != nil {
		return err
	}
	switch {
	case c.Left > 0 && whole && !r.dryRun:
		var err error
		if boxes, err = clawback.Undo(ctx, r.store, c, r.who()); err != nil {
			return err
		}
		if len(boxes) == 0 {
			r.acted(nil, clawback.VerbStop)
			r.say("claw back %s is stopped, and has moved nothing yet: what it is just moving is moved back by the same "+
				"command, once it has ended", c.ID)
			return nil
		}
		r.say("claw back %s was still under way in %s: what is not begun there is left alone; what it is just moving "+
			"is moved back by the same command, once it has ended", c.ID, mailboxes(c.Left))
	case c.Left > 0:
		r.say("warning: claw back %s is still under way in %s", c.ID, mailboxes(c.Left))
	}
	return r.order(ctx, clawback.Order{DryRun: r.dryRun, Of: c.ID}, boxes, "move messages back in "+mailboxes(len(boxes)))
}

// meant lists the claw backs that somebody names: one by its ID, or by a Message-ID all that may have moved it.
func (r *retract) meant(ctx context.Context, ref string) ([]*holdstore.ClawBack, error) {
	if strings.Contains(ref, "@") {
		all, err := r.store.ClawBacks(ctx, undoLooked)
		return all, r.part(err)
	}
	c, err := r.store.ClawBack(ctx, strings.ToUpper(ref))
	if errors.Is(err, holdstore.ErrNotFound) {
		return nil, &exit{exitNothing, fmt.Sprintf("claw back %s is not known; %s lists them", ref,
			r.command("retract --status"))}
	}
	return []*holdstore.ClawBack{c}, err
}

// undoLooked is how many claw backs are looked through for a Message-ID.
const undoLooked = 1000

// order writes the order, and shows how it is carried out.
func (r *retract) order(ctx context.Context, o clawback.Order, boxes []clawback.Mailbox, what string) error {
	by := r.who()
	o.By, o.From, o.Reason = by.By, by.From, by.Reason
	id := r.store.NewClawID()
	keep := max(time.Duration(r.config.RecordRetention), time.Duration(r.config.Inbound.Remember))
	if err := clawback.Start(ctx, r.store, id, o, boxes, keep); err != nil {
		return fmt.Errorf("claw back %s is not ordered in full: %w; what was ordered is done, and the same command goes on",
			id, err)
	}
	r.acted(nil, o.Verb())
	r.say("claw back %s: %s", id, what)
	return r.follow(ctx, id, true)
}

// sureOf asks whether it is to be done, unless that was said; where nobody can answer, it is refused.
func (r *retract) sureOf(what string) error {
	if r.yes || r.dryRun {
		return nil
	}
	if !r.interactive(r.stdin) {
		return usage("this would %s; nothing was changed: look with --dry-run, then add --yes", what)
	}
	fmt.Fprintf(r.stderr, "%s? [y/N] ", what)
	answer, _ := bufio.NewReader(r.stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usage("nothing was changed")
	}
	return nil
}

func mailboxes(n int) string { return clawback.Count(n, "mailbox", "mailboxes") }

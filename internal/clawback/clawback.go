// Package clawback is what operators order about messages that were delivered: which messages are meant, in whose
// mailboxes, what is to be done there, and what came of it. recallctl, the page and the API share it; package
// retraction carries it out.
//
// Failure rules: an order is in the store, whole, before any of its jobs is. It says of each mailbox what is meant, by
// the content of the message and not by its Message-ID alone, so that nothing else is taken.
package clawback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

// Store is what claw backs need of the hold store; holdstore.Store says what each method promises.
type Store interface {
	FindDelivered(ctx context.Context, q holdstore.DeliveredQuery) ([]holdstore.Delivered, int, error)
	NewClawID() string
	AddClawBack(ctx context.Context, id string, head any, targets []any, keep time.Duration, e holdstore.Entry) error
	ClawBack(ctx context.Context, id string) (*holdstore.ClawBack, error)
	ClawBacks(ctx context.Context, most int) ([]*holdstore.ClawBack, error)
	ClawCounts(ctx context.Context, id string, outcomes []string) ([]int, error)
	ClawMailboxes(ctx context.Context, id string, numbers []int) ([]holdstore.ClawMailbox, error)
	StopClaw(ctx context.Context, id string, e holdstore.Entry) error
	AddJob(ctx context.Context, id, kind string, v any, in time.Duration) error
}

// Order says what is to be done.
type Order struct {
	Folder  string `json:"f,omitempty"` // where messages go; empty: the server's trash
	Delete  bool   `json:"x,omitempty"` // they are deleted for good
	Changed bool   `json:"c,omitempty"` // also what has another content: its Message-ID alone tells it
	DryRun  bool   `json:"n,omitempty"` // nothing is done: what would be is said
	Of      string `json:"u,omitempty"` // the claw back that is undone; empty: it takes messages back
	By      string `json:"b"`           // who ordered it
	From    string `json:"o,omitempty"` // from where
	Reason  string `json:"r,omitempty"`
}

// Mailbox is one message in one mailbox.
type Mailbox struct {
	Recipient string         `json:"r"`
	MessageID string         `json:"m"`
	Author    string         `json:"a,omitempty"`
	Subject   string         `json:"s,omitempty"`
	Header    string         `json:"h,omitempty"` // digest of its content; empty: any content
	Body      string         `json:"b,omitempty"`
	Received  time.Time      `json:"t,omitzero"`
	Last      time.Time      `json:"l,omitzero"`  // when it came in for the last time; zero: once
	Copies    []mailbox.Copy `json:"c,omitempty"` // of an undo: what was moved
}

// Part is the data of a job: some mailboxes of a claw back. Without numbers the job adds those of all mailboxes.
type Part struct {
	ID      string `json:"i"`
	Numbers []int  `json:"n,omitempty"`
	Looks   int    `json:"l,omitempty"` // how often a message that was not found was looked for again
}

// JobKind is the kind of a job whose data is a Part.
const JobKind = "claw"

// partMost is how many mailboxes one job is for: what hangs in one costs the others of its job some seconds each.
const partMost = 10

// Verbs of the audit trail.
const (
	VerbTake = "retract"
	VerbBack = "return"
	VerbStop = "retract stopped"
)

// Verb is what an order is in the audit trail.
func (o Order) Verb() string {
	if o.Of != "" {
		return VerbBack
	}
	return VerbTake
}

// Goal says in a few words where messages go.
func (o Order) Goal() string {
	words := "to the trash"
	switch {
	case o.Of != "":
		words = "back where they were, undoing " + o.Of
	case o.Delete:
		words = "deleted for good"
	case o.Folder != "":
		words = "to the folder " + o.Folder
	}
	if o.Changed {
		words += ", whatever their content"
	}
	if o.DryRun {
		words += ", dry run"
	}
	return words
}

// Start writes an order for some mailboxes, and the jobs that carry it out. Whoever dies before its return has ordered
// all of it or nothing: a job that is there before the order adds the others that are missing.
func Start(ctx context.Context, store Store, id string, o Order, all []Mailbox, keep time.Duration) error {
	targets := make([]any, len(all))
	for n := range all {
		targets[n] = all[n]
	}
	boxes := "1 mailbox"
	if len(all) != 1 {
		boxes = strconv.Itoa(len(all)) + " mailboxes"
	}
	e := holdstore.Entry{Verb: o.Verb(), Actor: holdstore.Actor{By: o.By, From: o.From, Reason: o.Reason},
		Detail: boxes + ": " + o.Goal()}
	order := holdstore.OperatorJobIDPrefix(orders) + id
	if err := store.AddJob(ctx, order, JobKind, Part{ID: id}, orderedWithin); err != nil {
		return err
	}
	if err := store.AddClawBack(ctx, id, o, targets, keep, e); err != nil {
		return err
	}
	var domains []string
	for n := range all {
		domains = append(domains, holdstore.DomainOf(all[n].Recipient))
	}
	return addParts(ctx, store, id, domains)
}

const (
	orders        = "claw back"     // in place of a domain, in the ID of the job that adds the others
	orderedWithin = 5 * time.Second // usually: then that job looks whether it was
)

// Spread adds the jobs of a claw back that are missing.
func Spread(ctx context.Context, store Store, c *holdstore.ClawBack) error {
	var domains []string
	err := Outcomes(ctx, store, c, func(o Outcome) error {
		domains = append(domains, holdstore.DomainOf(o.Mailbox.Recipient))
		return nil
	})
	if err != nil {
		return err
	}
	return addParts(ctx, store, c.ID, domains)
}

// addParts adds the jobs for mailboxes in some domains, each of which waits for its own server only.
func addParts(ctx context.Context, store Store, id string, domains []string) error {
	parts, names := map[string][]int{}, []string(nil)
	for n, domain := range domains {
		if parts[domain] == nil {
			names = append(names, domain)
		}
		parts[domain] = append(parts[domain], n)
	}
	for _, domain := range names {
		for some := range slices.Chunk(parts[domain], partMost) {
			job := holdstore.OperatorJobIDPrefix(domain) + id + ":" + strconv.Itoa(some[0])
			if err := store.AddJob(ctx, job, JobKind, Part{ID: id, Numbers: some}, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outcome is what came of one mailbox.
type Outcome struct {
	Mailbox Mailbox
	Result  mailbox.Clawed
	Done    bool // else it is still to be done
}

// Outcomes reads what came of the mailboxes of a claw back, in their order.
func Outcomes(ctx context.Context, store Store, c *holdstore.ClawBack, each func(Outcome) error) error {
	return OutcomesFrom(ctx, store, c, 0, c.Mailboxes, each)
}

// OutcomesFrom is Outcomes for at most so many mailboxes from one on.
func OutcomesFrom(
	ctx context.Context, store Store, c *holdstore.ClawBack, from, most int, each func(Outcome) error,
) error {
	end := min(from+most, c.Mailboxes)
	for ; from < end; from += outcomesAtOnce {
		var numbers []int
		for n := from; n < min(from+outcomesAtOnce, end); n++ {
			numbers = append(numbers, n)
		}
		some, err := store.ClawMailboxes(ctx, c.ID, numbers)
		if err != nil {
			return err
		}
		for _, m := range some {
			var o Outcome
			done, wrong := m.Result(&o.Result)
			o.Done = done
			if err := errors.Join(m.Target(&o.Mailbox), wrong); err != nil {
				return err
			}
			if err := each(o); err != nil {
				return err
			}
		}
	}
	return nil
}

const outcomesAtOnce = 200

// Count says how many there are of something.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Words of an outcome for people; dry says that nothing was done.
func Words(outcome string, dry bool) string {
	words := strings.ReplaceAll(outcome, "-", " ")
	if dry && outcome != mailbox.NotFound && outcome != mailbox.TooOld && outcome != mailbox.Refused {
		return "would be " + words
	}
	return words
}

// Pending is the outcome of a mailbox that is still to be done.
const Pending = "pending"

// AllOutcomes are the outcomes in the order in which they are counted.
var AllOutcomes = []string{mailbox.Moved, mailbox.Removed, mailbox.Returned, mailbox.NotFound, mailbox.TooOld,
	mailbox.Refused, Pending}

// Outcome is one of AllOutcomes.
func (o Outcome) Outcome() string {
	if !o.Done {
		return Pending
	}
	return o.Result.Outcome
}

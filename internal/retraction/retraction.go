// Package retraction goes on where a recall comes too late: it asks the gateways of the recipients to take a message
// back, takes messages out of its own users' mailboxes when another gateway asks, and sees to it that both sides hear
// what came of it.
//
// Failure rules: everything here is a job in the store, done again until it is done, by whichever gateway is alive.
// What is done twice does nothing twice: a request has the same ID and Message-ID each time, and what will be done to a
// mailbox is noted before it is done. Who may ask is decided before (package inbound); nothing is authorised here.
package retraction

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/sender"
	"github.com/recall-milter/recall-milter/policy"
)

// Store is what a retractor needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	Get(ctx context.Context, id string) (*holdstore.Hold, error)
	Resolve(ctx context.Context, ref string) ([]*holdstore.Hold, error)
	ResolveOwn(ctx context.Context, ref string, own func(*holdstore.Hold) bool) ([]*holdstore.Hold, error)
	RememberUnheld(ctx context.Context, all []holdstore.Unheld, keep time.Duration) error
	UnheldUse(ctx context.Context, messageID, by string, moment time.Time, keep time.Duration) (holdstore.MessageIDUse,
		error)
	RecallOnly(ctx context.Context, id string, addresses []string, a holdstore.Actor) (*holdstore.Hold, error)

	RequestRecall(ctx context.Context, id string, all []holdstore.Request, within time.Duration,
		a holdstore.Actor) (*holdstore.Hold, error)
	RequestsOf(ctx context.Context, messageID string) ([]*holdstore.Hold, error)
	Request(ctx context.Context, requestID string) (holdstore.Request, error)
	AddAnswers(ctx context.Context, id, from string, answers []holdstore.Answer) error
	StopWaiting(ctx context.Context, id string) (*holdstore.Hold, error)
	Note(ctx context.Context, id string, e holdstore.Event) error
	News(ctx context.Context, id string, e holdstore.Event) error
	Audit(ctx context.Context, verb, id string, a holdstore.Actor, detail string) error

	clawback.Store
	PlanClaw(ctx context.Context, id string, n int, plan any) error
	EndClaw(
		ctx context.Context, id string, n int, outcome string, result any, again bool, keep time.Duration, e holdstore.Entry,
	) error

	EnterMailbox(ctx context.Context, address, job string, most time.Duration) (bool, error)
	LeaveMailbox(ctx context.Context, address, job string) error
	ClaimJob(ctx context.Context, some ...holdstore.Lane) (*holdstore.Job, error)
	RenewJob(ctx context.Context, j *holdstore.Job) error
	SaveJob(ctx context.Context, j *holdstore.Job, v any) error
	FinishJob(ctx context.Context, j *holdstore.Job, known time.Duration) error
	RetryJob(ctx context.Context, j *holdstore.Job, in time.Duration) error
	WaitJob(ctx context.Context, j *holdstore.Job, in time.Duration) error
	BreakJob(ctx context.Context, j *holdstore.Job, in time.Duration, what string) error
	Wake(ctx context.Context) <-chan struct{}
}

// Mailbox takes delivered messages out of mailboxes; mailbox.Mailboxes says what its methods promise.
type Mailbox interface {
	Reaches(recipient string) bool
	Retract(ctx context.Context, t mailbox.Target, plan func(mailbox.Result) error) (mailbox.Result, error)
	ClawBack(ctx context.Context, c mailbox.Claw, plan []mailbox.Copy,
		note func([]mailbox.Copy) error) (mailbox.Clawed, error)
	GiveBack(ctx context.Context, c mailbox.Claw, copies []mailbox.Copy,
		note func([]mailbox.Copy) error) (mailbox.Clawed, error)
}

// Log is told what is done.
type Log interface {
	Acted(h *holdstore.Hold, verb string, by holdstore.Actor, only ...string)
	Asked(h *holdstore.Hold, domain, requestID string)
	Retracted(messageID, recipient, requestID, outcome, detail string)
	Reported(h *holdstore.Hold)
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
	Panicked(what string, v any, stack []byte)
}

// Options are what the tables [recall] and [inbound] say about it.
type Options struct {
	Ask     bool            // after_release = "request"
	Domains policy.Patterns // recipient domains that are asked
	Within  time.Duration   // how long answers are waited for
	People  sender.Site     // our own, who are told of outcomes
	Keep    time.Duration   // how long a job that is done is known, so that it is not done again
}

// Retractor asks and answers. Safe for concurrent use.
type Retractor struct {
	o      Options
	store  Store
	post   *post.Post
	boxes  Mailbox // nil: there is no way into the mailboxes
	marker *mark.Marker
	log    Log
	unheld chan holdstore.Unheld // what waits to be remembered

	// What is told once of the store: that no job can be claimed, whatever its lane, and that nothing is remembered.
	claiming, remembering outage.Outage
}

// New returns a retractor; Run does its jobs. boxes may be nil.
func New(store Store, post *post.Post, boxes Mailbox, marker *mark.Marker, log Log, o Options) *Retractor {
	return &Retractor{o: o, store: store, post: post, boxes: boxes, marker: marker, log: log,
		unheld: make(chan holdstore.Unheld, maxUnheld)}
}

package retraction

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// Order is a recall that the policy has let pass: take this message out of these mailboxes.
type Order struct {
	RequestID  string    `json:"q"`
	CommandID  string    `json:"c"` // Message-ID of the command
	MessageID  string    `json:"m"` // of the message
	From       string    `json:"f"` // address of its author, who asks
	Recipients []string  `json:"r"`
	Received   time.Time `json:"t"`           // when the message came in
	Date       string    `json:"w,omitempty"` // its Date field, when the command says it
	Gateway    string    `json:"g"`           // our MTA's host name
	Hold       string    `json:"h,omitempty"` // that it left, when it is ours: between colleagues

	Done  map[string]mailbox.Result `json:"d,omitempty"` // by recipient
	Plan  map[string]mailbox.Result `json:"p,omitempty"` // what was about to be done
	Told  bool                      `json:"i,omitempty"` // that it takes longer
	Looks int                       `json:"l,omitempty"` // how often a message that was not found was looked for again
}

// AcceptOrder takes an order, once it returns true; then the command needs no delivery. False: there is no way into
// some mailboxes here, so the command goes to the recipients, and a gateway that asked hears so. The other mailboxes
// are looked into.
func (x *Retractor) AcceptOrder(ctx context.Context, o Order, request bool) (bool, error) {
	var closed []string
	for _, r := range o.Recipients {
		if !x.reachesAll([]string{r}) {
			closed = append(closed, r)
		}
	}
	o.Recipients = slices.DeleteFunc(slices.Clone(o.Recipients), func(r string) bool { return slices.Contains(closed, r) })
	if err := x.order(ctx, o); err != nil || len(closed) == 0 {
		return err == nil, err
	}
	if !request {
		return false, nil
	}
	s := protocol.Status{RequestID: o.RequestID, MessageID: o.MessageID}
	for _, r := range closed {
		s.Recipients = append(s.Recipients, protocol.StatusOf{Address: r, Outcome: protocol.StatusRefused,
			Diagnostic: "this gateway has no way into the mailbox; the recipient has got the request"})
	}
	return false, x.answer(ctx, &o, s)
}

// reachesAll says whether there is a way into all of these mailboxes.
func (x *Retractor) reachesAll(recipients []string) bool {
	return x.boxes != nil && !slices.ContainsFunc(recipients, func(r string) bool { return !x.boxes.Reaches(r) })
}

// orderMost is how many recipients one job is for: one for thousands would keep others waiting, and is written each
// time that one of its mailboxes is done.
const orderMost = 100

// order adds the jobs that carry an order out.
func (x *Retractor) order(ctx context.Context, o Order) error {
	for some := range slices.Chunk(o.Recipients, orderMost) {
		part := o
		part.Recipients = some
		if err := x.store.AddJob(ctx, part.job(), jobRetract, part, 0); err != nil {
			return err
		}
	}
	return nil
}

// job is the ID of the job that carries the order out: of each piece of a request that came in by several transactions.
// IDs are typed by whoever asks: so that nobody's order is taken for another's that is known, it names all of an order.
func (o *Order) job() string {
	whole := append([]string{o.RequestID, o.CommandID, o.MessageID, holdstore.Fold(o.From)},
		slices.Sorted(slices.Values(o.Recipients))...)
	sum := sha256.Sum256([]byte(strings.Join(whole, "\n")))
	domain := holdstore.DomainOf(o.From)
	id := jobRetract + ":" + domain + ":" + o.RequestID + ":" + hex.EncodeToString(sum[:16])
	if o.Hold != "" {
		return holdstore.UserJobIDPrefix(holdstore.Fold(o.From)) + id
	}
	return holdstore.JobIDPrefix(authenticate.Organisation(domain)) + id
}

// ourselves is who a gateway speaks as (docs/protocol.md).
const ourselves = "postmaster"

// answer sends a status for each domain of the recipients: only a mail from there speaks for it. A request that a list
// has passed on may be for several.
func (x *Retractor) answer(ctx context.Context, o *Order, all protocol.Status) error {
	parts := map[string][]protocol.StatusOf{}
	for _, r := range all.Recipients {
		domain := holdstore.DomainOf(r.Address)
		parts[domain] = append(parts[domain], r)
	}
	for _, domain := range slices.Sorted(maps.Keys(parts)) {
		s := protocol.Status{RequestID: all.RequestID, MessageID: all.MessageID, Recipients: parts[domain]}
		to := post.Inquirer{Address: o.From, MessageID: o.CommandID, Gateway: o.Gateway, From: ourselves + "@" + domain}
		if err := x.post.Status(ctx, to, s); err != nil {
			return err
		}
	}
	return nil
}

// Times of an order whose mailbox can't be reached.
const (
	tellAfter   = 10 * time.Minute // then who asked hears that it takes longer
	giveUpAfter = 24 * time.Hour
)

// A recall may be faster than its message, which waits for a filter, or for a mailbox that was away. What is not found
// is looked for again: after four seconds, and then each time after four times as long, for an hour and a half in all.
const (
	lookFirst = 4 * time.Second
	lookMost  = 6
	lookUntil = 24 * time.Hour // after a message came in it is in its mailbox, or was
)

// looksFor is for how many recipients a message that is missing is looked for again.
const looksFor = 20

// few says whether the message is missing in so few mailboxes that it is looked for again.
func (o *Order) few() bool {
	n := 0
	for _, r := range o.Recipients {
		if onItsWay(o.Done[r]) {
			n++
		}
	}
	return n <= looksFor
}

// later is when a message that was not found is looked for again.
type later time.Duration

func (l later) Error() string {
	return "the message was not found, and is looked for again in " + time.Duration(l).String()
}

// retract carries an order out. An error means that some mailbox has to be tried again.
func (x *Retractor) retract(ctx context.Context, j *holdstore.Job, o *Order) error {
	again, err := x.mailboxes(ctx, j, o)
	if err != nil {
		return err
	}
	missing := slices.ContainsFunc(o.Recipients, func(r string) bool { return onItsWay(o.Done[r]) })
	if again != nil && (o.Told || time.Since(j.Since) < tellAfter) {
		if err := x.store.SaveJob(ctx, j, o); err != nil {
			return err
		}
		return again
	}
	if missing = missing && again == nil && o.few() && o.Looks < lookMost && j.Since.Sub(o.Received) < lookUntil; missing {
		again = later(lookFirst << (2 * o.Looks))
		o.Looks++
	}
	if !missing || o.Looks > 1 { // most are there at the second look, and then who asked hears only that
		if err := x.tell(ctx, o); err != nil || again == nil {
			return err
		}
		o.Told = true
	}
	if err := x.store.SaveJob(ctx, j, o); err != nil {
		return err
	}
	return again
}

// mailboxes looks into those that an order names, each within its share of the time, so that one that hangs costs no
// other its outcome. Those that failed come last the next time: however many of them hang, the others have their turn.
// again is why some have to be tried once more; err ends the attempt.
func (x *Retractor) mailboxes(ctx context.Context, j *holdstore.Job, o *Order) (again, err error) {
	work, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	looks, enough := half(work)
	defer enough()
	var failed []string
	for n, r := range o.Recipients {
		done, known := o.Done[r]
		var wrong error
		switch one, stop := share(work, len(o.Recipients)-n); {
		case known && onItsWay(done):
			wrong = x.lookAgain(looks, one, ctx, j, o, r)
			stop()
		case known:
			stop()
		default:
			wrong = x.carryOut(one, ctx, j, o, r)
			stop()
		}
		if errors.Is(wrong, holdstore.ErrLost) || errors.Is(wrong, holdstore.ErrUnavailable) {
			return nil, wrong
		}
		if wrong != nil {
			again, failed = wrong, append(failed, r)
		}
	}
	last := func(r string) bool { return slices.Contains(failed, r) }
	o.Recipients = append(slices.DeleteFunc(o.Recipients, last), failed...)
	return again, nil
}

// leastShare is enough for a mailbox whose server answers.
const leastShare = 5 * time.Second

// share is the time for one of so many that are left.
func share(ctx context.Context, left int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(end)/time.Duration(left), leastShare))
}

// onItsWay says whether a message was not found, and may be soon.
func onItsWay(r mailbox.Result) bool { return r.Outcome == protocol.StatusNotFound && r.Detail == "" }

// half is half of the time that is left.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// carryOut does what was ordered to one recipient's mailbox.
func (x *Retractor) carryOut(share, ctx context.Context, j *holdstore.Job, o *Order, recipient string) error {
	result, err := x.takeFrom(share, ctx, j, o, recipient)
	switch {
	case errors.Is(err, holdstore.ErrLost), errors.Is(err, holdstore.ErrUnavailable), errors.Is(err, errNotItsTurn),
		err != nil && time.Since(j.Since) < giveUpAfter:
		return err
	case err != nil:
		result = mailbox.Result{Outcome: protocol.StatusRefused, Detail: "the mailbox could not be reached"}
	}
	return x.carriedOut(ctx, j, o, recipient, result)
}

// lookAgain looks for a message that was not there. A look that fails, or for which there is no time left, is done.
func (x *Retractor) lookAgain(looks, share, ctx context.Context, j *holdstore.Job, o *Order, recipient string) error {
	if looks.Err() != nil {
		return nil
	}
	one, cancel := context.WithCancel(share)
	defer cancel()
	defer context.AfterFunc(looks, cancel)()
	result, err := x.takeFrom(one, ctx, j, o, recipient)
	switch {
	case looks.Err() == nil && (errors.Is(err, holdstore.ErrLost) || errors.Is(err, holdstore.ErrUnavailable)):
		return err
	case err != nil || onItsWay(result):
		return nil
	}
	return x.carriedOut(ctx, j, o, recipient, result)
}

// carriedOut notes what became of one recipient.
func (x *Retractor) carriedOut(ctx context.Context, j *holdstore.Job, o *Order, recipient string,
	result mailbox.Result) error {
	if result.Notice {
		loss := post.Loss{Recipient: recipient, MessageID: o.MessageID, From: o.From, Received: o.Received, BySender: true}
		if err := x.post.Taken(ctx, loss); err != nil {
			return err
		}
	}
	x.log.Retracted(o.MessageID, recipient, o.RequestID, result.Outcome, result.Detail)
	set(&o.Done, recipient, result)
	if err := x.store.Audit(ctx, "retract", "", holdstore.Actor{By: "<" + o.From + ">",
		From: "recall request " + o.RequestID}, recipient+" "+o.MessageID+": "+result.Outcome); err != nil {
		return err
	}
	return x.store.SaveJob(ctx, j, o)
}

// takeFrom takes the message from one recipient, whose share is the time for the mailbox: from the hold when it waits
// here, else out of the mailbox.
func (x *Retractor) takeFrom(share, ctx context.Context, j *holdstore.Job, o *Order, recipient string) (mailbox.Result,
	error) {
	if o.Hold == "" {
		if held, err := x.stillHeld(ctx, o, recipient); err != nil || held {
			return mailbox.Result{Outcome: protocol.StatusRecalled}, err
		}
	}
	var result mailbox.Result
	err := x.alone(ctx, recipient, j.ID, func() (err error) {
		result, err = x.boxes.Retract(share, mailbox.Target{Recipient: recipient, MessageID: o.MessageID, From: o.From,
			Received: o.Received, Date: o.Date, Asked: j.Since, Hold: o.Hold},
			func(plan mailbox.Result) error {
				set(&o.Plan, recipient, plan)
				return x.store.SaveJob(ctx, j, o)
			})
		return err
	})
	if plan, planned := o.Plan[recipient]; err == nil && planned && result.Outcome == protocol.StatusNotFound {
		return plan, nil // it was done, and whoever did it died before saying so
	}
	return result, err
}

// stillHeld recalls the message for one recipient if it still waits on this gateway.
func (x *Retractor) stillHeld(ctx context.Context, o *Order, recipient string) (bool, error) {
	holds, err := x.store.Resolve(ctx, o.MessageID)
	if err != nil {
		return false, err
	}
	for _, h := range holds {
		to := slices.ContainsFunc(h.Recipients, func(p holdstore.Path) bool { return holdstore.Same(p.Address, recipient) })
		if h.State != holdstore.Held || h.MessageID != o.MessageID || !to || !holdstore.Same(post.Author(h), o.From) {
			continue
		}
		by := holdstore.Actor{By: "<" + o.From + ">", From: "recall request " + o.RequestID}
		after, err := x.store.RecallOnly(ctx, h.ID, []string{recipient}, by)
		if err == nil {
			x.log.Acted(after, "recall", by, recipient)
		}
		if err == nil || !errors.Is(err, holdstore.ErrTooLate) && !errors.Is(err, holdstore.ErrNotNow) {
			return err == nil, err
		}
	}
	return false, nil
}

// tell says what is known to who asked.
func (x *Retractor) tell(ctx context.Context, o *Order) error {
	s := protocol.Status{RequestID: o.RequestID, MessageID: o.MessageID}
	for _, r := range o.Recipients {
		said := protocol.StatusOf{Address: r, Outcome: protocol.StatusRefused,
			Diagnostic: "the mailbox can't be reached now; it is tried again"}
		if result, done := o.Done[r]; done {
			said.Outcome, said.Diagnostic = result.Outcome, result.Detail
		}
		s.Recipients = append(s.Recipients, said)
	}
	if o.Hold != "" {
		// else its record is gone: nobody wants to know
		if err := x.acceptStatus(ctx, s, holdstore.DomainOf(o.From), ""); !errors.Is(err, ErrUnasked) {
			return err
		}
		return nil
	}
	return x.answer(ctx, o, s)
}

func set(m *map[string]mailbox.Result, key string, r mailbox.Result) {
	if *m == nil {
		*m = map[string]mailbox.Result{}
	}
	(*m)[key] = r
}

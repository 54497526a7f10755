// Package recall is the desk where senders ask for their mail back: it finds recall commands among the mail that
// leaves, decides who may recall what, has the store do it, and answers.
//
// Failure rules: what a sender typed only classifies; the login of the session authorises. A command is answered after
// the store has done it, and the client hears 250 after both; when the store fails between, the client's retry finds
// the hold recalled, and only gets the answer. A mail in doubt travels on as ordinary mail, and its sender is told. One
// that can't be meant as a command (automatic mail, mail of lists) is logged and changes nothing: it goes to its other
// recipients, or is refused (550) if it has none.
package recall

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/sender"
	"github.com/recall-milter/recall-milter/policy"
)

// Store is what the desk needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	Resolve(ctx context.Context, ref string) ([]*holdstore.Hold, error)
	ResolveOwn(ctx context.Context, ref string, own func(*holdstore.Hold) bool) ([]*holdstore.Hold, error)
	Latest(ctx context.Context, who holdstore.Whose, n int, keep func(*holdstore.Hold) bool) ([]*holdstore.Hold, error)
	Get(ctx context.Context, id string) (*holdstore.Hold, error)
	Recall(ctx context.Context, id string, a holdstore.Actor) (*holdstore.Hold, error)
	RecallOnly(ctx context.Context, id string, addresses []string, a holdstore.Actor) (*holdstore.Hold, error)
	Release(ctx context.Context, id string, a holdstore.Actor) (*holdstore.Hold, error)
	Extend(ctx context.Context, id string, d time.Duration, a holdstore.Actor) (*holdstore.Hold, error)
	Restore(ctx context.Context, id string, a holdstore.Actor) (*holdstore.Hold, error)
	Audit(ctx context.Context, verb, id string, a holdstore.Actor, detail string) error
	RecordBytes(ctx context.Context, refs []string, who holdstore.Whose, newest int) (int64, error)
	Put(sub holdstore.Submission, header []byte) *holdstore.Put
	Count(ctx context.Context, per time.Duration, all ...holdstore.Tally) ([]int, error)
}

// Late goes on where a recall came too late; retraction.Retractor says what RequestRetraction promises.
type Late interface {
	RequestRetraction(ctx context.Context, id string, only []string, a holdstore.Actor) (*holdstore.Hold, time.Time, error)
}

// Log is told of each command.
type Log interface {
	Acted(h *holdstore.Hold, verb string, by holdstore.Actor, only ...string)
	Commanded(sub holdstore.Submission, form, outcome, detail string)
	Trouble(msg string, err error)
}

// Options are the table [recall].
type Options struct {
	Addresses       []string    // to which commands are sent
	People          sender.Site // the site's own
	Outlook         bool
	SubjectPrefixes []string        // how Outlook names a recall
	PersonalLogins  policy.Patterns // logins of one person each, who may have several addresses
	Supersedes      bool
	Notice          string // never | always
	Rate            int    // commands of one login in Per; 0: no limit
	Per             time.Duration
	Texts           *post.Texts
	Config          string                              // the config file, for commands that the log tells
	Late            Late                                // nil: too late is too late
	MaxGrace        time.Duration                       // how long a sender may hold their own mail, from its beginning
	ParseDuration   func(string) (time.Duration, error) // how WAIT is read

	// Link makes the address of a page that shows a hold and can recall it, for the notice. nil, or "": there is none.
	Link func(h *holdstore.Hold) string
}

// Desk takes commands. Safe for concurrent use.
type Desk struct {
	o         Options
	store     Store
	rule      func(name string) policy.Rule // the rule under which a message was held
	log       Log
	post      *post.Post
	room      *semaphore.Weighted // of the records that commands have read, in bytes
	addresses holdstore.Addresses // for recall commands
}

// New returns a desk.
func New(store Store, rule func(name string) policy.Rule, log Log, o Options) *Desk {
	return &Desk{o: o, store: store, post: post.New(store, o.Texts, o.Addresses...), rule: rule, log: log,
		room: semaphore.NewWeighted(roomBytes), addresses: holdstore.NewAddresses(o.Addresses)}
}

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	mailmsg.Message        // Body has at most MaxBody
	Holds           bool   // the policy holds it
	Rule            string // that holds it

	replaced func(context.Context) error // answers what the commit of this mail took back; nil: nothing
}

// Disposition is what becomes of a mail that may be a command.
type Disposition struct {
	Keep     []holdstore.Path // recipients that get it all the same; none: it is done with
	Refusal  string           // an SMTP reply that refuses it; nothing else counts then
	Replaces []string         // the holds to take back in the step that holds this mail
}

// Act does what the mail asks for, and answers it: it reads the mail, counts it, finds what is meant and whose it is,
// recalls, and answers. After an error the client must try again; that is safe. A mail that is ignored goes to its
// other recipients; one to the recall address alone is refused (550), since nobody else would get it.
func (d *Desk) Act(ctx context.Context, m *Mail) (Disposition, error) {
	r := d.read(m)
	switch {
	case r.form == "":
		return Disposition{Keep: r.keep}, nil
	case r.ignored != "":
		d.log.Commanded(m.Submission, r.form, "ignored", r.ignored)
		if len(r.keep) == 0 {
			return Disposition{Refusal: "550 5.7.1 automatic mail, lists and redirected mail can't recall messages"}, nil
		}
		return Disposition{Keep: r.keep}, nil
	}
	leave, refusal, err := d.admit(ctx, r)
	switch {
	case err != nil:
		return Disposition{}, err
	case refusal != "" && r.form == formSupersedes: // the mail goes out also beyond the rate
		return Disposition{Keep: r.keep}, d.answerBeyondRate(ctx, r)
	case refusal != "":
		return Disposition{Refusal: refusal}, nil
	}
	defer leave()
	all, err := d.find(ctx, r)
	if err != nil {
		return Disposition{}, err
	}
	if r.form == formSupersedes && m.Holds && len(all[0].mine) > 0 { // the step that holds the mail takes them back
		m.replaced = func(ctx context.Context) error {
			_, err := d.carryOut(ctx, r, all)
			return err
		}
		return Disposition{Keep: r.keep, Replaces: idsOf(all[0].mine)}, nil
	}
	return d.carryOut(ctx, r, all)
}

// Held is told of each message that is held: its sender may have to know that, or what it has replaced.
func (d *Desk) Held(ctx context.Context, m *Mail, c holdstore.Committed) {
	var err error
	switch {
	case m.replaced != nil:
		err = m.replaced(ctx)
	case d.notices(m.Rule) && !c.Found && automatic(m) == "" && d.o.People.Has(&m.Submission):
		err = d.notice(ctx, &holdstore.Hold{ID: c.ID, HeldAt: c.HeldAt, Due: c.Due, Submission: m.Submission,
			Terms: holdstore.Terms{Rule: m.Rule}, Results: make([]holdstore.Result, len(m.Recipients))})
	}
	if err != nil {
		d.log.Trouble("hold "+c.ID+" is safe, but its sender could not be told of it", err)
	}
}

// notices says whether the senders of a rule are told that their mail waits.
func (d *Desk) notices(rule string) bool {
	if own := d.rule(rule).Notice; own != nil {
		return *own
	}
	return d.o.Notice == "always"
}

func (d *Desk) notice(ctx context.Context, h *holdstore.Hold) error {
	link := ""
	if d.o.Link != nil {
		link = d.o.Link(h)
	}
	return d.post.Notice(ctx, h, link)
}

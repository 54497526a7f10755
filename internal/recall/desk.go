// Package recall is the desk where senders ask for their mail back: it finds recall commands among the mail that
// leaves, decides who may recall what, has the store do it, and answers.
//
// Failure rules: what a sender typed only classifies; the login of the session authorises. A command is answered after
// the store has done it, and the client hears 250 after both; when the store fails between, the client's retry finds
// the hold recalled, and only gets the answer. A mail in doubt travels on as ordinary mail, and its sender is told.
package recall

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
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
	Reports         string // always | failures | never
	Notice          string // never | always
	Rate            int    // commands of one login in Per; 0: no limit
	Per             time.Duration
	Texts           *post.Texts
	Late            Late // nil: too late is too late

	// Link makes the address of a page that shows a hold and can recall it, for the notice. nil, or "": there is none.
	Link func(h *holdstore.Hold) string
}

// Desk takes commands. Safe for concurrent use.
type Desk struct {
	o     Options
	store Store
	rule  func(name string) policy.Rule // the rule under which a message was held
	log   Log
	post  *post.Post
	room  *semaphore.Weighted // of the records that commands have read, in bytes
}

// New returns a desk.
func New(store Store, rule func(name string) policy.Rule, log Log, o Options) *Desk {
	address := ""
	if len(o.Addresses) > 0 {
		address = o.Addresses[0]
	}
	return &Desk{o: o, store: store, post: post.New(store, o.Texts, address), rule: rule, log: log,
		room: semaphore.NewWeighted(roomBytes)}
}

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	mailmsg.Message      // Body has at most MaxBody
	Holds           bool // the policy holds it

	replaced []*holdstore.Hold // what the commit of this mail takes back
}

// Disposition is what becomes of a mail that may be a command.
type Disposition struct {
	Keep     []holdstore.Path // recipients that get it all the same; none: it is done with
	Refusal  string           // an SMTP reply that refuses it; nothing else counts then
	Replaces []string         // the holds to take back in the step that holds this mail
}

// Candidate is what the header of a mail says of it.
type Candidate struct {
	May    bool             // it may be a command
	Body   int              // bytes of its body that tell, at most
	Others []holdstore.Path // who gets it whatever it says: everybody but the recall address
}

// Examine says at the end of the header whether a mail may be a command.
func (d *Desk) Examine(sub holdstore.Submission, fields []policy.Field) (c Candidate) {
	for _, r := range sub.Recipients {
		if !d.isOurs(r.Address) {
			c.Others = append(c.Others, r)
		}
	}
	m := &Mail{Submission: sub, Message: mailmsg.Message{Fields: fields}}
	switch {
	case len(c.Others) < len(sub.Recipients):
		c.Body = mailmsg.MaxBody
	case d.o.Outlook:
		c.Body = d.recalls().Body(&m.Message)
	}
	c.May = c.Body > 0 || d.supersedes(m) != "" // whose body says nothing
	return c
}

// recalls knows what Outlook sends.
func (d *Desk) recalls() outlook.Recalls { return outlook.Recalls(d.o.SubjectPrefixes) }

func (d *Desk) isOurs(address string) bool {
	for _, a := range d.o.Addresses {
		if holdstore.Same(a, address) {
			return true
		}
	}
	return false
}

// Act does what the mail asks for, and answers it. After an error the client must try again; that is safe.
func (d *Desk) Act(ctx context.Context, m *Mail) (Disposition, error) {
	others := d.Examine(m.Submission, m.Fields).Others
	if len(others) < len(m.Recipients) {
		return d.addressed(ctx, m, others)
	}
	var subjects []policy.Subject
	outlook := false
	if d.o.Outlook && d.recalls().Body(&m.Message) > 0 && !m.Cut {
		subjects, outlook = d.recalls().Subjects(&m.Message)
	}
	old := d.supersedes(m)
	switch why := notOwn(m); {
	case !outlook && old == "":
	case why != "":
		d.log.Commanded(m.Submission, map[bool]string{true: "outlook", false: "supersedes"}[outlook], "ignored", why)
	case outlook:
		return d.outlook(ctx, m, subjects)
	default:
		return d.supersede(ctx, m, old)
	}
	return Disposition{Keep: others}, nil
}

// addressed does a command to the recall address.
func (d *Desk) addressed(ctx context.Context, m *Mail, others []holdstore.Path) (Disposition, error) {
	if why := automatic(m); why != "" {
		d.log.Commanded(m.Submission, "address", "ignored", why)
		if len(others) > 0 {
			return Disposition{Keep: others}, nil
		}
		return Disposition{Refusal: "550 5.7.1 automatic mail, lists and redirected mail can't recall messages"}, nil
	}
	if refusal, err := d.limited(ctx, m); err != nil || refusal != "" {
		return Disposition{Refusal: refusal}, err
	}
	t := command.Read(&m.Message, d.o.Addresses)
	leave, err := d.enter(ctx, m, t.Refs, lastLooked)
	if err != nil {
		return Disposition{}, err
	}
	defer leave()
	answers, err := d.recallNamed(ctx, m, t)
	if err != nil {
		return Disposition{}, err
	}
	for _, a := range answers {
		a.form = "address"
		if err := d.answer(ctx, m, a); err != nil {
			return Disposition{}, err
		}
	}
	return Disposition{Keep: others}, nil
}

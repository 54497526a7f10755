// Package mailbox takes delivered messages out of the mailboxes of this gateway's own users, by IMAP or Microsoft
// Graph: on the server of each recipient's domain, with a login that opens all mailboxes there.
//
//	server of the domain -> log in for the recipient -> every folder of their own: search, verify -> plan
//	IMAP:  -> mark, look again -> expunge | move
//	Graph: -> move, look again -> delete for good | move back
//
// Failure rules: no other message is ever touched: the search only proposes, and a copy is the message when its
// Message-ID, its author and its date are, and it came by mail. Whatever may end differently later is an error, and
// tried again; whatever is certain is a Result. What will be done is told before it is done, so that a death in between
// is no loss of the answer. What the server says is bounded in bytes and in time.
package mailbox

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"text/template"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// Target is one message in one recipient's mailbox.
type Target struct {
	Recipient string    // address; the login is made of it
	MessageID string    // with its angle brackets
	From      string    // address of its author
	Received  time.Time // when this gateway took it in; zero: not known
	Date      string    // its Date field; empty: not known
	Asked     time.Time // when it was asked for: then it must not be older than the server's MaxAge; zero: it is not
	Hold      string    // ID of the hold that it left, which is in its Received fields; empty: it left none of ours
}

// Outcomes, as in a recall status.
const (
	Retracted = "retracted"    // it is gone, and was not read
	Replaced  = "replaced"     // so, and a notice is in its place
	Moved     = "moved"        // so, but it waits in the folder that the policy names
	Read      = "already-read" // it was read, answered, forwarded or flagged
	NotFound  = "not-found"
	Refused   = "refused" // it is there, and could not be taken
)

// Result is what became of it. Of several copies it is the worst.
type Result struct {
	Outcome string `json:"o"`
	Detail  string `json:"d,omitempty"` // why, for the asker: names no folder that its user named
	Folder  string `json:"f,omitempty"` // where it was, for our own log only
	Taken   Taken  `json:"t,omitempty"` // what its user no longer finds where it was
	Notice  bool   `json:"n,omitempty"` // its user is to be told by mail
}

// Server says how to reach the mailboxes of some domains.
type Server struct {
	Domains      policy.Patterns // of recipients; empty: all that no server before it has
	Graph        bool            // Microsoft Graph in place of IMAP, with a Token
	Address      string          // host:port, or the URL of Graph; empty: nobody's mailbox can be reached there
	TLS          string          // none, starttls, implicit; the config allows none on loopback only
	Auth         string          // AuthLogin, AuthPlain, AuthXOAUTH2, AuthOAuthBearer
	Login        string          // template: {address} {local} {domain} {master}; empty: as Auth needs it
	MasterUser   string          // for AuthLogin and AuthPlain
	PasswordFile string          // of the master user; read at each login
	Token        Token           // for AuthXOAUTH2, AuthOAuthBearer and Graph
	Unread, Read string          // in place of those of the Policy; empty: those
	Notice       string          // NoticeReaders, NoticeAlways; else nobody is told that a message was taken
	MaxAge       time.Duration   // older messages are left alone; 0: none is too old
}

// Policy says what to do in the mailboxes of all servers that don't say it themselves.
type Policy struct {
	Unread string                    // delete, replace, move:Folder
	Read   string                    // keep, delete, move:Folder
	DryRun bool                      // says what would be done
	Texts  string                    // a folder whose file mailbox-notice.txt replaces our text; empty: none
	Clock  func(time.Time) time.Time // gives moments the zone in which people are told them; nil: the gateway's own
}

const (
	jobTime = time.Minute // for all that one mailbox takes
	atOnce  = 4           // connections
)

// Backend is one server's way into its users' mailboxes.
type Backend interface {
	// Address is where the server is: host:port, or a URL.
	Address() string
	// Retract takes a message out of its recipient's mailbox, as the policy says. plan hears what is about to be done,
	// before each act that a later try could not see; its error ends the try. An error means that a later try may
	// succeed; one that is ErrLogin needs the administrator. Trying again does nothing twice.
	Retract(ctx context.Context, t Target, plan func(Result) error) (Result, error)
	// ClawBack takes every copy of a message out, also those that were read. plan is what note has heard in an earlier
	// try: each is told before it is done. An error means that a later try may succeed.
	ClawBack(ctx context.Context, c Claw, plan []Copy, note func([]Copy) error) (Clawed, error)
	// GiveBack moves copies that ClawBack has moved to where they were. plan and note are as there.
	GiveBack(ctx context.Context, c Claw, copies []Copy, note func([]Copy) error) (Clawed, error)
	// Check looks whether the server answers, and opens a user's mailbox if one is given: then it says what can be done
	// there. An error says what is wrong; with ErrNoExpunge or ErrNoMove the policy asks for what can't be done.
	Check(ctx context.Context, user string) (Abilities, error)
}

// Mailboxes are those behind some servers, of which the first that has a recipient's domain is asked.
type Mailboxes struct{ servers []place }

// place is a server and what it has; Backend is nil where nobody's mailbox can be reached.
type place struct {
	domains policy.Patterns
	notice  string
	maxAge  time.Duration
	rest    *rest
	Backend
}

// New reads the text of the notice; it connects to nothing.
func New(servers []Server, p Policy) (*Mailboxes, error) {
	notice, err := readNotice(p.Texts)
	if err != nil {
		return nil, err
	}
	m := &Mailboxes{}
	for _, s := range servers {
		here := p
		here.Unread, here.Read = cmp.Or(s.Unread, p.Unread), cmp.Or(s.Read, p.Read)
		at := place{domains: s.Domains, notice: s.Notice, maxAge: s.MaxAge, rest: &rest{}}
		switch tokens := (&tokens{from: s.Token}); {
		case s.Address == "":
		case s.Graph:
			at.Backend = &Graph{s: s, p: here, tokens: tokens, slots: make(slots, atOnce)}
		default:
			at.Backend = &IMAP{s: s, p: here, notice: notice, tokens: tokens, slots: make(slots, atOnce)}
		}
		m.servers = append(m.servers, at)
	}
	return m, nil
}

// of is the server of a recipient's mailbox. Its Backend is nil where there is no way into it.
func (m *Mailboxes) of(recipient string) place {
	_, domain := split(recipient)
	for _, b := range m.servers {
		if len(b.domains) == 0 || b.domains.Match(domain) {
			return b
		}
	}
	return place{}
}

// Servers are those that have an address.
func (m *Mailboxes) Servers() (all []Backend) {
	for _, b := range m.servers {
		if b.Backend != nil {
			all = append(all, b.Backend)
		}
	}
	return all
}

// Address is host:port of the server.
func (b *IMAP) Address() string { return b.s.Address }

// Reaches says whether there is a way into a recipient's mailbox.
func (m *Mailboxes) Reaches(recipient string) bool { return m.of(recipient).Backend != nil }

// Retract is Backend.Retract at the server of the recipient's domain.
func (m *Mailboxes) Retract(ctx context.Context, t Target, plan func(Result) error) (Result, error) {
	b := m.of(t.Recipient)
	if b.Backend == nil {
		return Result{Outcome: Refused, Detail: "this gateway has no way into the mailbox"}, nil
	}
	if why := b.tooOld(t.Received, t.Asked); why != "" {
		return Result{Outcome: Refused, Detail: why}, nil
	}
	var r Result
	err := b.rest.around(t.Recipient, func() (err error) {
		r, err = b.Retract(ctx, t, func(r Result) error {
			r.Notice = b.tells(r.Taken)
			return plan(r)
		})
		return err
	})
	r.Notice = b.tells(r.Taken)
	return r, err
}

// Check is Backend.Check at the server of a user's domain. ErrNoServer.
func (m *Mailboxes) Check(ctx context.Context, user string) (Abilities, error) {
	b := m.of(user)
	if b.Backend == nil {
		return Abilities{}, ErrNoServer
	}
	return b.Check(ctx, user)
}

// Why a mailbox would stay as it is.
var (
	ErrNoServer  = errors.New("no server is configured for its domain")
	ErrNoExpunge = errors.New("the IMAP server has no UIDPLUS, so one message can't be removed alone")
	ErrNoMove    = errors.New("the IMAP server has neither MOVE nor UIDPLUS, so one message can't be moved alone")
)

// IMAP is the way into the mailboxes of one server.
type IMAP struct {
	s      Server
	p      Policy
	notice *template.Template
	tokens *tokens
	slots  slots
	known  atomic.Pointer[string] // a user whose mailbox was opened
	roots  *x509.CertPool         // nil: the system's
}

// Retract is Backend.Retract.
func (b *IMAP) Retract(ctx context.Context, t Target, plan func(Result) error) (r Result, err error) {
	if defect := t.defect(b.s); defect != "" {
		return Result{Outcome: NotFound, Detail: defect}, nil
	}
	err = b.inside(ctx, t.Recipient, t.MessageID, func(o *box) (err error) {
		r, err = o.take(t, plan)
		return err
	})
	if errors.Is(err, errNoMailbox) {
		return Result{Outcome: NotFound, Detail: errNoMailbox.Error()}, nil
	}
	if err != nil {
		return Result{}, err
	}
	return r, nil
}

// errNoMailbox says that a recipient has no mailbox on a server.
var errNoMailbox = errors.New("the server has no mailbox of this name")

// inside opens a recipient's mailbox for work on a message. errNoMailbox.
func (b *IMAP) inside(ctx context.Context, recipient, messageID string, work func(*box) error) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := b.slots.enter(ctx); err != nil {
		return err
	}
	defer b.slots.leave()
	box, err := b.open(ctx, recipient)
	if errors.Is(err, ErrLogin) && b.opensOthers(ctx) {
		return errNoMailbox
	}
	if err != nil {
		return fmt.Errorf("mailbox of <%s>: %w", recipient, err)
	}
	b.known.Store(&recipient)
	defer box.close()
	err = work(box)
	if said := new(imap.Error); errors.As(err, &said) && notConnected(said) {
		return fmt.Errorf("mailbox of <%s>: %w: the login may not open it (%s)", recipient, ErrLogin,
			sanitize.ServerReply(said.Text))
	}
	if err != nil {
		return fmt.Errorf("mailbox of <%s>: message %s stays for now: %w", recipient, messageID, because(ctx, err))
	}
	return nil
}

// opensOthers says whether the master user still opens a mailbox that it has opened before: then a login that is
// refused means that the mailbox does not exist, and not that the master user's password is wrong.
func (b *IMAP) opensOthers(ctx context.Context) bool {
	user := b.known.Load()
	if user == nil {
		return false
	}
	box, err := b.open(ctx, *user)
	if err == nil {
		box.close()
	}
	return err == nil
}

// Check is Backend.Check.
func (b *IMAP) Check(ctx context.Context, user string) (Abilities, error) {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := b.slots.enter(ctx); err != nil {
		return Abilities{}, err
	}
	defer b.slots.leave()
	box, err := b.open(ctx, user)
	if err != nil {
		return Abilities{}, because(ctx, err)
	}
	defer box.close()
	if user == "" {
		return Abilities{}, nil
	}
	return box.abilities(), b.p.lacks(box)
}

// slots are as many as one server may have at once.
type slots chan struct{}

func (s slots) leave() { <-s }

// errBusy says that there was no turn in time.
var errBusy = fmt.Errorf("all %d connections to its server are in use", atOnce)

// enter waits until a connection more is not too many.
func (s slots) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mailbox: %w: %w", errBusy, ctx.Err())
	}
}

const (
	maxMessageID = 998 // RFC 5322 section 2.1.1: a line
	maxLogin     = 320
)

// defect says why a target can mean no message here; empty: it can.
func (t Target) defect(at Server) string {
	if t.From == "" {
		return "the author is not known"
	}
	return at.defect(t.Recipient, t.MessageID)
}

// defect says why there can be no such message in a mailbox of this server; empty: there can.
func (s Server) defect(recipient, messageID string) string {
	control := func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }
	switch {
	case len(messageID) < 3 || len(messageID) > maxMessageID || strings.ContainsFunc(messageID, control):
		return "the Message-ID is none"
	case recipient == "" || len(recipient) > maxLogin || strings.ContainsFunc(recipient, control) ||
		!s.means(recipient): // it would name another login
		return "the recipient's address can't be a login"
	}
	return ""
}

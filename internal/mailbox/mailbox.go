// Package mailbox takes delivered messages out of the mailboxes of this gateway's own users, by IMAP as a master user.
//
//	log in as the recipient -> every folder of his own: search, verify -> plan -> mark, look again -> expunge | move
//
// Failure rules: no other message is ever touched: the search only proposes, and a copy is the message when its
// Message-ID, its author and its date are, and it came by mail. Whatever may end differently later is an error, and
// tried again; whatever is certain is a Result. What will be done is told before it is done, so that a death in between
// is no loss of the answer. What the server says is bounded in bytes and in time.
package mailbox

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"text/template"
	"time"
)

// Target is one message in one recipient's mailbox.
type Target struct {
	Recipient string    // address; the login is made of it
	MessageID string    // with its angle brackets
	From      string    // address of its author
	Received  time.Time // when this gateway took it in; zero: not known
	Date      string    // its Date field; empty: not known
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
	Detail  string `json:"d,omitempty"` // why, for who asked: names no folder that its user named
	Folder  string `json:"f,omitempty"` // where it was, for our own log only
}

// Settings say how to reach the mailboxes, and what to do there.
type Settings struct {
	Address      string // host:port
	TLS          string // none, starttls, tls; the config allows none on loopback only
	MasterUser   string
	PasswordFile string // read at each login
	Separator    string // between the user and the master user: "*" makes anna@corp.test*master
	Unread       string // delete, replace, move:Folder
	Read         string // keep, move:Folder
	DryRun       bool   // says what would be done
	Texts        string // a folder whose file mailbox-notice.txt replaces our text; empty: none
}

const (
	jobTime = time.Minute // for all that one mailbox takes
	atOnce  = 4           // connections
)

// IMAP is the way into the mailboxes of one server.
type IMAP struct {
	s      Settings
	notice *template.Template
	slots  chan struct{}
	known  atomic.Pointer[string] // a user whose mailbox was opened
	roots  *x509.CertPool         // nil: the system's
}

// New reads the text of the notice; it connects to nothing.
func New(s Settings) (*IMAP, error) {
	notice, err := readNotice(s.Texts)
	if err != nil {
		return nil, err
	}
	return &IMAP{s: s, notice: notice, slots: make(chan struct{}, atOnce)}, nil
}

// Retract takes a message out of its recipient's mailbox, as the policy says. plan hears what is about to be done,
// before each act that a later try could not see; its error ends the try. An error means that a later try may succeed;
// one that is ErrLogin needs the administrator. Trying again does nothing twice.
func (b *IMAP) Retract(ctx context.Context, t Target, plan func(Result) error) (Result, error) {
	if defect := t.defect(b.s.Separator); defect != "" {
		return Result{Outcome: NotFound, Detail: defect}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := b.enter(ctx); err != nil {
		return Result{}, err
	}
	defer func() { <-b.slots }()
	box, err := b.open(ctx, t.Recipient)
	if errors.Is(err, ErrLogin) && b.opensOthers(ctx) {
		return Result{Outcome: NotFound, Detail: "there is no mailbox of this name"}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("mailbox of <%s>: %w", t.Recipient, err)
	}
	b.known.Store(&t.Recipient)
	defer box.close()
	r, err := box.take(t, plan)
	if err != nil {
		return Result{}, fmt.Errorf("mailbox of <%s>: message %s stays for now: %w", t.Recipient, t.MessageID,
			because(ctx, err))
	}
	return r, nil
}

// opensOthers says whether the master user still opens a mailbox that it has opened before: then a login that is
// refused means that there is no such mailbox, and not that the master user's password is wrong.
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

// Check connects, and logs in as a user if one is given. An error says what is wrong.
func (b *IMAP) Check(ctx context.Context, user string) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer func() { <-b.slots }()
	box, err := b.open(ctx, user)
	if err != nil {
		return because(ctx, err)
	}
	defer box.close()
	if user != "" && !box.canExpunge() && (b.s.Unread == "delete" || b.s.Unread == "replace") {
		return errors.New("the IMAP server has no UIDPLUS, so one message can't be removed alone: set unread to move:Folder")
	}
	return nil
}

// enter waits until a connection more is not too many.
func (b *IMAP) enter(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mailbox: all %d connections are in use: %w", atOnce, ctx.Err())
	}
}

const (
	maxMessageID = 998 // RFC 5322 section 2.1.1: a line
	maxLogin     = 320
)

// defect says why a target can mean no message here; empty: it can.
func (t Target) defect(separator string) string {
	control := func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }
	switch {
	case len(t.MessageID) < 3 || len(t.MessageID) > maxMessageID || strings.ContainsFunc(t.MessageID, control):
		return "the Message-ID is none"
	case t.From == "":
		return "the author is not known"
	case t.Recipient == "" || len(t.Recipient) > maxLogin || strings.ContainsFunc(t.Recipient, control) ||
		strings.Contains(t.Recipient, separator): // it would name another login
		return "the recipient's address can't be a login"
	}
	return ""
}

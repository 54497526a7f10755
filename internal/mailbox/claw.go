package mailbox

import (
	"context"
	"fmt"
	"time"

	"github.com/recall-milter/recall-milter/internal/fingerprint"
)

// Claw is a message that an operator takes out of a mailbox, and where it goes.
type Claw struct {
	Recipient string            // address; the login is made of it
	MessageID string            // with its angle brackets
	Print     fingerprint.Print // of its content; empty: any content
	Received  time.Time         // when this gateway took it in; zero: not known
	Last      time.Time         // when it did for the last time; zero: once
	Asked     time.Time         // as Target.Asked
	Changed   bool              // also what has the Message-ID and another content
	Folder    string            // where it goes, with "/" between a folder and one in it; empty: the server's trash
	Delete    bool              // it goes nowhere: it is deleted for good
	DryRun    bool              // nothing is done
}

// Copy is one copy of such a message. Its IDs are the server's.
type Copy struct {
	Folder string `json:"f"`           // where it was
	ID     string `json:"i"`           // there
	Seen   string `json:"s,omitempty"` // what its user had done with it; empty: it was unread
	Stays  bool   `json:"k,omitempty"` // it was where it should go
	To     string `json:"t,omitempty"` // folder that it went to
	Now    string `json:"n,omitempty"` // its ID there; empty: it is not there
	Back   bool   `json:"b,omitempty"` // it is about to be moved back
	Gone   bool   `json:"g,omitempty"` // its user has removed it meanwhile
	Other  bool   `json:"o,omitempty"` // it has another content
}

// Outcomes of claw backs, besides Moved, NotFound and Refused.
const (
	Removed  = "removed"  // it was deleted for good
	TooOld   = "too-old"  // it is left alone for its age
	Returned = "returned" // it is where it was before
)

// Clawed is what came of a claw back in one mailbox.
type Clawed struct {
	Outcome string `json:"o"`
	Detail  string `json:"d,omitempty"`
	Copies  []Copy `json:"c,omitempty"`
	Others  int    `json:"x,omitempty"` // messages with the same Message-ID and another content, which stay
	Changed int    `json:"a,omitempty"` // messages with another content that were taken
	Taken   Taken  `json:"t,omitempty"`
	Notice  bool   `json:"n,omitempty"` // its user is to be told by mail
}

// ClawBack is Backend.ClawBack at the server of the recipient's domain.
func (m *Mailboxes) ClawBack(ctx context.Context, c Claw, plan []Copy, note func([]Copy) error) (Clawed, error) {
	b := m.of(c.Recipient)
	if b.Backend == nil {
		return Clawed{Outcome: Refused, Detail: "this gateway has no way into the mailbox"}, nil
	}
	if why := b.tooOld(c.Received, c.Asked); why != "" {
		if c.Last.IsZero() || b.tooOld(c.Last, c.Asked) != "" {
			return Clawed{Outcome: TooOld, Detail: why}, nil
		}
		c.Received = c.Asked.Add(-b.maxAge) // of what came in twice, the old copy stays
	}
	var r Clawed
	err := b.rest.around(c.Recipient, func() (err error) {
		r, err = b.ClawBack(ctx, c, plan, note)
		return err
	})
	r.Notice = b.tells(r.Taken)
	return r, err
}

// GiveBack is Backend.GiveBack at the server of the recipient's domain.
func (m *Mailboxes) GiveBack(ctx context.Context, c Claw, copies []Copy, note func([]Copy) error) (Clawed, error) {
	b := m.of(c.Recipient)
	if b.Backend == nil {
		return Clawed{Outcome: Refused, Detail: "this gateway has no way into the mailbox"}, nil
	}
	var r Clawed
	err := b.rest.around(c.Recipient, func() (err error) {
		r, err = b.GiveBack(ctx, c, copies, note)
		return err
	})
	return r, err
}

// outcome is what came of all copies, those that stay where they were among them.
func (c Claw) outcome(copies []Copy, others int) Clawed {
	r := Clawed{Outcome: Moved, Copies: copies, Others: others}
	if c.Delete {
		r.Outcome = Removed
	}
	taken, seen, stay, other := 0, 0, 0, 0
	for _, one := range copies {
		switch {
		case one.Stays:
			stay++
		case !one.Gone:
			taken++
			if one.Other {
				other++
			}
			if one.Seen != "" {
				seen++
			}
		}
	}
	switch {
	case c.DryRun || taken == 0:
	case seen > 0:
		r.Taken = TakenRead
	default:
		r.Taken = TakenUnread
	}
	switch {
	case taken == 0 && stay == 0:
		r.Outcome = NotFound
		if others > 0 {
			r.Detail = "a message with this Message-ID and another content is there, and stays"
		} else if len(copies) > 0 {
			r.Detail = "its user has just removed it"
		}
	case taken == 0:
		r.Detail = "it was there already"
	case taken == 1 && seen == 0:
		r.Detail = "unread"
	case taken == 1:
		for _, one := range copies {
			if !one.Stays && !one.Gone {
				r.Detail = one.Seen
			}
		}
	default:
		r.Detail = fmt.Sprintf("%d copies, %d of them unread", taken, taken-seen)
	}
	if r.Changed = other; other > 0 {
		r.Detail += fmt.Sprintf("; %d with another content", other)
	}
	return r
}

// given is what came of giving copies back: so many are back, and so many were not where they had been moved to.
func given(copies []Copy, back, gone int) Clawed {
	r := Clawed{Outcome: Returned, Copies: copies}
	switch {
	case back == 0 && gone == 0:
		r.Outcome, r.Detail = NotFound, "nothing of it was moved"
	case back == 0:
		r.Outcome, r.Detail = NotFound, "its user has removed it from where it was moved to"
	case gone > 0:
		r.Detail = fmt.Sprintf("%d of %d copies: the others were removed by their user", back, back+gone)
	}
	return r
}

package mailbox

import (
	"fmt"
	"time"
)

// Values of Server.Notice: who hears by mail that a message was taken out of their mailbox.
const (
	NoticeReaders = "readers" // whoever had read it
	NoticeAlways  = "always"
)

// Taken says what became of a message in its user's eyes.
type Taken string

// What its user no longer finds where it was. Of several copies, one that was read counts.
const (
	Nothing     Taken = ""
	TakenUnread Taken = "unread"
	TakenRead   Taken = "read"
)

// tells says whether a user is to be told by mail.
func (p place) tells(taken Taken) bool {
	return taken != Nothing && p.notice == NoticeAlways || taken == TakenRead && p.notice == NoticeReaders
}

// tooOld says why a message is left alone at this server for its age; empty: it is not. It counts how old the message
// was when it was asked for, so that each try says the same.
func (p place) tooOld(received, asked time.Time) string {
	if p.maxAge <= 0 || received.IsZero() || asked.IsZero() || asked.Sub(received) <= p.maxAge {
		return ""
	}
	return fmt.Sprintf("it came in on %s, and mail older than %s is left alone here",
		received.UTC().Format("2006-01-02"), span(p.maxAge))
}

// span writes an age in whole days where it is so many.
func span(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// and is what was taken of two copies.
func (t Taken) and(o Taken) Taken {
	switch {
	case t == TakenRead || o == TakenRead:
		return TakenRead
	case t == TakenUnread || o == TakenUnread:
		return TakenUnread
	}
	return Nothing
}

// takenAs is what was taken of a message with this outcome.
func takenAs(outcome string) Taken {
	if outcome == Read {
		return TakenRead
	}
	return TakenUnread
}

package holdstore

import (
	"errors"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// Errors that callers tell apart with errors.Is. Of those that it does not know, an act asks NotDone, so that a new one
// is not taken for a store that is away. They are of the servers,
var (
	ErrUnavailable = nodes.ErrUnavailable
	ErrPartial     = nodes.ErrPartial
	ErrNotAllowed  = nodes.ErrNotAllowed
	ErrNotDurable  = nodes.ErrNotDurable
	ErrFull        = nodes.ErrFull
	ErrSchema      = nodes.ErrSchema
	ErrDefect      = nodes.ErrDefect
)

// of seals,
var (
	ErrNoKey    = seal.ErrNoKey
	ErrDamaged  = seal.ErrDamaged
	ErrUnproven = seal.ErrUnproven
)

// and of holds.
var (
	ErrQuota = errors.New("as much of this sender's mail waits as one sender may have in the store: " +
		"release some of it, or raise maxmemory of redis")
	// ErrUnknown: the reply of a commit never came, and its hold was fenced off.
	ErrUnknown = errors.New("outcome unknown, fenced by tombstone")
	// ErrMaybeHeld: the same, but it could not be fenced off, or has to stay and too few replicas have it. A retry
	// finds the hold; nobody may deliver the message another way. It is an ErrUnavailable as well.
	ErrMaybeHeld = errors.New("it may be held")
	ErrLost      = errors.New("lease lost") // another daemon took the claim over
	// ErrTooLate: it is releasing or released, or all recipients that were asked about have it.
	ErrTooLate  = errors.New("too late")
	ErrNotFound = errors.New("no such hold")
	ErrPartly   = errors.New("some recipients have it already") // a recall of Bulk that took back only what was left
	// ErrNotNow: for example a restore of a hold that is not recalled.
	ErrNotNow = errors.New("not possible in this state")
	// ErrStopped: an operator has recalled it, and only an operator may undo that.
	ErrStopped = errors.New("an operator has recalled it, and only an operator can undo that")
	// ErrMany: a search has looked at as many of a person's messages as it may, and there are older ones.
	ErrMany = errors.New("only the newest were searched")
)

// notDone says why nothing was done to a hold; kind is one of the errors above.
type notDone struct {
	id   string
	kind error
	why  string
}

func (r *notDone) Error() string { return r.id + ": " + r.reason() }

func (r *notDone) reason() string {
	switch {
	case r.why == "":
		return r.kind.Error()
	case errors.Is(r.kind, ErrNotFound): // the hold is there, and only what was looked for in it is not
		return r.why
	}
	return r.kind.Error() + ": " + r.why
}

// Unwrap returns the kind.
func (r *notDone) Unwrap() error { return r.kind }

// NotDone says whether an act was answered, and not done to a hold (with ErrPartly: to a part of it). Everything else
// that goes wrong is trouble with the store: then nobody knows whether it was done.
func NotDone(err error) bool {
	var r *notDone
	return errors.As(err, &r)
}

// Reason is the text of an error without the ID of the hold that it is about, for a line that begins with it.
func Reason(err error) string {
	var r *notDone
	if errors.As(err, &r) {
		return r.reason()
	}
	return err.Error()
}

// outcome turns the word a script returns when it did nothing into an error.
func outcome(word, id string) error {
	refused := func(kind error, why string) error { return &notDone{id, kind, why} }
	switch word {
	case "ok":
		return nil
	case "partly":
		return refused(ErrPartly, "it was recalled for the others")
	case "none":
		return refused(ErrNotFound, "")
	case "late":
		return refused(ErrTooLate, "it is on its way or sent")
	case "asked already":
		return refused(ErrNotNow, "it was sent, and the gateways of its recipients were asked before")
	case "lost":
		return refused(ErrLost, "another release took it over")
	case "pending":
		return refused(ErrNotNow, "a recipient is still pending")
	case "nokey":
		return refused(ErrNoKey, "without seal.key_file nothing can let it be released again; nothing was changed")
	case "changed":
		return refused(errChanged, "another recall was faster")
	case "damaged":
		return refused(ErrDamaged, "its record can't be read, and nothing was changed")
	case "stopped":
		return refused(ErrStopped, "")
	case "gone":
		return refused(ErrNotNow, "its content is no longer kept")
	}
	return refused(ErrNotNow, "it is "+word)
}

// errChanged says that another recall of the same hold was faster.
var errChanged = errors.New("its ticket was replaced meanwhile")

// notAddressed is the error of an act on recipients whom a hold does not have.
func notAddressed(h *Hold, addresses []string) error {
	return &notDone{h.ID, ErrNotFound, "none of its recipients is " + strings.Join(addresses, " or ")}
}

package holdstore

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrUnavailable = errors.New("store not reachable")                // network, LOADING, READONLY, timeouts
	ErrPartial     = errors.New("part of the store is not reachable") // some servers of a Cluster; with it comes what the others have
	ErrNotAllowed  = errors.New("not allowed by redis")               // wrong password, or an ACL that is too tight; is ErrUnavailable too
	ErrNotDurable  = errors.New("store could lose mail")              // strict durability refused; the text names the setting and the mend
	ErrFull        = errors.New("store is full")                      // OOM
	ErrQuota       = errors.New("as much of this sender's mail waits as one sender may have in the store: release some of it, or raise maxmemory of redis")
	ErrUnknown     = errors.New("outcome unknown, fenced by tombstone") // a commit whose reply never came and whose hold was fenced off
	ErrMaybeHeld   = errors.New("it may be held")                       // and could not be fenced off: a retry finds it, and nobody else may send it; is ErrUnavailable too
	ErrLost        = errors.New("lease lost")                           // another daemon took the claim over
	ErrTooLate     = errors.New("too late")                             // releasing or released
	ErrNotFound    = errors.New("no such hold")
	ErrSchema      = errors.New("store of another version")        // a newer daemon upgraded it, or it has another number of shards; is ErrUnavailable too
	ErrPartly      = errors.New("some recipients have it already") // a recall of Bulk that took back only what was left
	ErrNotNow      = errors.New("not possible in this state")      // restore of what is not recalled, recall of what is recalled, ...
)

// explain turns an error of Redis or of the network into one of ours, keeping the cause. nil stays nil.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if reply := redis.Error(nil); errors.As(err, &reply) {
		text = reply.Error() // that of a Sentinel stands behind words of the client
	}
	switch {
	case errors.Is(err, ErrSchema), errors.Is(err, ErrUnavailable), errors.Is(err, ErrDefect):
		return err
	case strings.HasPrefix(text, "SCHEMA"):
		return schemaError("this store is being upgraded by another version: upgrade this gateway too; its mail waits meanwhile")
	case strings.HasPrefix(text, "OOM"):
		return fmt.Errorf("%w: raise maxmemory of redis or release mail: %w", ErrFull, err)
	case strings.HasPrefix(text, "MISCONF"):
		return fmt.Errorf("%w: redis can't write to its disk: free space in its dir: %w", ErrNotDurable, err)
	case errors.Is(err, errFewReplicas), strings.HasPrefix(text, "NOREPLICAS"):
		return fmt.Errorf("%w, %w: see to the replicas of redis: %w", ErrNotDurable, ErrUnavailable, err)
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("%w, %w: look at redis.username and redis.password_file: %w", ErrNotAllowed, ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// schemaError is an ErrSchema, which makes mail wait as an ErrUnavailable does.
type schemaError string

func (e schemaError) Error() string { return string(e) }

// Is makes it both.
func (e schemaError) Is(target error) bool { return target == ErrSchema || target == ErrUnavailable }

// answered says whether err is Redis's own reply: then the command was refused, and its outcome is known.
func answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// refused says whether Redis answered that it did nothing. Of a script that failed on its way nobody knows what it did.
func refused(err error) bool {
	return answered(err) && !redis.HasErrorPrefix(err, "ERR") && !redis.HasErrorPrefix(err, "WRONGTYPE")
}

// unsent says whether err shows that nothing can have reached Redis.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, errNotSent) || errors.Is(err, ErrSchema)
}

// notDone says why nothing was done to a hold; kind is one of the errors above.
type notDone struct {
	id   string
	kind error
	why  string
}

func (r *notDone) Error() string { return r.id + ": " + r.reason() }

func (r *notDone) reason() string {
	if r.why == "" {
		return r.kind.Error()
	}
	return r.kind.Error() + ": " + r.why
}

// Unwrap returns the kind.
func (r *notDone) Unwrap() error { return r.kind }

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
	case "gone":
		return refused(ErrNotNow, "its content is no longer kept")
	}
	return refused(ErrNotNow, "it is "+word)
}

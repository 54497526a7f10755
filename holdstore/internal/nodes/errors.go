package nodes

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Errors that callers of the store tell apart with errors.Is.
var (
	ErrUnavailable = errors.New("store not reachable") // network, LOADING, READONLY, timeouts
	// some servers of a Cluster; with it comes what the others have
	ErrPartial = errors.New("part of the store is not reachable")
	// wrong password, or an ACL that is too tight; is ErrUnavailable too
	ErrNotAllowed = errors.New("not allowed by redis")
	// strict durability refused; the text names the setting and what to do
	ErrNotDurable = errors.New("store could lose mail")
	ErrFull       = errors.New("store is full") // OOM
	// a newer daemon upgraded it, or it has another number of shards; is ErrUnavailable too
	ErrSchema = errors.New("store of another version")
)

// ErrNotSent means that the caller had no time to wait until its command was sent.
var ErrNotSent = errors.New("it was not sent to redis")

// Explain turns an error of Redis or of the network into one of ours, keeping the cause. nil stays nil.
func Explain(err error) error {
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
		return schemaError("this store is being upgraded by another version: upgrade this gateway too; " +
			"its mail waits meanwhile")
	case strings.HasPrefix(text, "OOM"):
		return fmt.Errorf("%w: raise maxmemory of redis: %w", ErrFull, err)
	case strings.HasPrefix(text, "MISCONF"):
		return fmt.Errorf("%w: redis can't write to its disk: free space in its dir: %w", ErrNotDurable, err)
	case errors.Is(err, ErrFewReplicas), strings.HasPrefix(text, "NOREPLICAS"):
		return fmt.Errorf("%w, %w: see to the replicas of redis: %w", ErrNotDurable, ErrUnavailable, err)
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("%w, %w: look at redis.username and redis.password_file: %w", ErrNotAllowed, ErrUnavailable,
			err)
	}
	return &away{err}
}

// away is an ErrUnavailable with its cause.
type away struct{ cause error }

func unavailable(format string, args ...any) error { return &away{fmt.Errorf(format, args...)} }

func (a *away) Error() string { return ErrUnavailable.Error() + ": " + a.cause.Error() }

// Unwrap returns ErrUnavailable and the cause.
func (a *away) Unwrap() []error { return []error{ErrUnavailable, a.cause} }

// schemaError is an ErrSchema, which makes mail wait as an ErrUnavailable does.
type schemaError string

func (e schemaError) Error() string { return string(e) }

// Is makes it an ErrSchema and an ErrUnavailable.
func (e schemaError) Is(target error) bool { return target == ErrSchema || target == ErrUnavailable }

// Answered says whether err is Redis's own reply: then the command was refused, and its outcome is known.
func Answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// refusals are the words with which Redis refuses a command before it does anything. Of a script that failed on its
// way, with ERR (also where an ACL forbids one of its commands) or WRONGTYPE, nobody knows what it did.
var refusals = []string{"OOM", "SCHEMA", "LOADING", "READONLY", "MISCONF", "NOREPLICAS", "NOAUTH", "WRONGPASS",
	"NOPERM",
	"BUSY", "NOSCRIPT", "MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "CROSSSLOT"}

// discarded is what EXEC says before its reason, when it is refused itself.
const discarded = "EXECABORT Transaction discarded because of: "

// refusal is an error of Redis in other words.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

// discardedFor is the error for which a transaction was discarded.
func discardedFor(err error) error {
	if begins(err, discarded) {
		return refusal(strings.TrimPrefix(err.Error(), discarded))
	}
	return err
}

// WrongType says whether Redis refused a command because the key is of another type, or not a number.
func WrongType(err error) bool {
	return begins(err, "WRONGTYPE") || begins(err, "ERR value is not an integer")
}

// Refused says whether Redis answered that it did nothing.
func Refused(err error) bool {
	return slices.ContainsFunc(refusals, func(word string) bool { return begins(err, word) })
}

// begins says whether Redis's own reply begins with a word. redis.HasErrorPrefix would pass over "ERR".
func begins(err error, word string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), word)
}

// Unsent says whether err shows that nothing can have reached Redis.
func Unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err,
		ErrNotSent) || errors.Is(err, ErrSchema)
}

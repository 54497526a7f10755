package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A server that hangs keeps each of us waiting for as long as we have time, and so may the mailboxes of one domain on a
// server that passes logins on. After some mailboxes in a row have hung, the domain, or the whole server, is left alone
// for a while: whoever wants something there hears so at once, and waits elsewhere. Then one look at a time finds out
// whether it is still so.

const (
	hungMost  = 3 // mailboxes in a row that hang: one that is broken says nothing of the others
	restFirst = 15 * time.Second
	restMost  = 5 * time.Minute
	lookRest  = 5 * time.Second // while another looks
)

// errResting says that a server is left alone, because it hangs.
type errResting struct {
	what string
	wait time.Duration
}

func (e *errResting) Error() string {
	return fmt.Sprintf("%s hangs, and is left alone for %s", e.what, e.wait.Round(time.Second))
}

// rest knows what of a server hangs. Its zero value is ready for use.
type rest struct {
	mu  sync.Mutex
	of  map[string]*hang // by domain; "" is the whole server
	now func() time.Time // nil: time.Now
}

// hang is what has hung since something last answered.
type hang struct {
	last   string // mailbox that hung last
	many   int    // mailboxes in a row
	until  time.Time
	pause  time.Duration
	looked bool // somebody looks
}

func (r *rest) clock() time.Time {
	if r.now != nil {
		return r.now()
	}
	return time.Now()
}

// around does work in a mailbox, unless that is left alone.
func (r *rest) around(recipient string, work func() error) error {
	leave, err := r.enter(recipient)
	if err != nil {
		return err
	}
	err = context.Canceled // a panic says nothing of the server
	defer func() { leave(err) }()
	err = work()
	return err
}

// enter lets somebody into a mailbox, unless that is left alone. leave must hear what came of it.
func (r *rest) enter(recipient string) (leave func(error), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names, now := []string{""}, r.clock()
	if _, domain := split(recipient); domain != "" {
		names = append(names, strings.ToLower(domain))
	}
	for _, name := range names {
		h := r.of[name]
		if h == nil || h.many < hungMost {
			continue
		}
		if wait := h.until.Sub(now); wait > 0 {
			return nil, &errResting{named(name), wait}
		}
		if h.looked {
			return nil, &errResting{named(name), lookRest}
		}
	}
	var looks []*hang
	for _, name := range names {
		if h := r.of[name]; h != nil && h.many >= hungMost {
			h.looked = true
			looks = append(looks, h)
		}
	}
	return func(err error) { r.leave(names, recipient, looks, err) }, nil
}

func named(domain string) string {
	if domain == "" {
		return "the mail server"
	}
	return "the mail server of " + domain
}

func (r *rest) leave(names []string, recipient string, looks []*hang, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range looks {
		h.looked = false
	}
	if errors.Is(err, errBusy) || errors.Is(err, context.Canceled) { // it says nothing of the server
		return
	}
	for _, name := range names {
		if !hung(err) {
			delete(r.of, name)
			continue
		}
		h := r.of[name]
		if h == nil {
			h = &hang{pause: restFirst}
			if r.of == nil {
				r.of = map[string]*hang{}
			}
			r.of[name] = h
		}
		if h.last != recipient || h.many >= hungMost {
			h.last = recipient
			h.many++
		}
		if h.many >= hungMost {
			h.until = r.clock().Add(h.pause)
			h.pause = min(2*h.pause, restMost)
		}
	}
}

// hung says whether a server gave no answer in time.
func hung(err error) bool {
	var late interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()
}

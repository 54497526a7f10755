package mailbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A domain, or a whole server, is left alone after three mailboxes in a row that hang, and one look finds out when it
// answers again. One broken mailbox costs nobody else anything.
func TestWhatHangsIsLeftAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &rest{now: func() time.Time { return now }}
	late := fmt.Errorf("took too long: %w", context.DeadlineExceeded)
	look := func(recipient string, came error) error {
		return r.around(recipient, func() error { return came })
	}
	rests := func(err error) bool { return errors.As(err, new(*errResting)) }
	for range 10 {
		_ = look("broken@c.test", late)
	}
	if rests(look("fine@c.test", nil)) {
		t.Fatal("one broken mailbox has its domain left alone")
	}
	for n := range 3 {
		if err := look(fmt.Sprint(n, "@A.test"), late); rests(err) {
			t.Fatal(n, err)
		}
		if err := look("bert@b.test", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := look("anna@a.test", nil); !rests(err) || Wait(err) != restFirst {
		t.Errorf("a domain that hangs: %v, %v", err, Wait(err))
	}
	if err := look("bert@b.test", nil); err != nil {
		t.Errorf("another domain on its server: %v", err)
	}
	now = now.Add(restFirst)
	_ = r.around("anna@a.test", func() error {
		if !rests(look("carl@a.test", nil)) {
			t.Error("two look at once")
		}
		return late
	})
	if err := look("anna@a.test", nil); !rests(err) || Wait(err) != 2*restFirst {
		t.Errorf("it still hangs: %v, %v", err, Wait(err))
	}
	now = now.Add(2 * restFirst)
	func() {
		defer func() { recover() }()
		_ = r.around("anna@a.test", func() error { panic("a defect") })
	}()
	if err := look("anna@a.test", nil); err != nil {
		t.Errorf("after a defect: %v", err)
	}
	if err := look("anna@a.test", nil); err != nil || r.of["a.test"] != nil {
		t.Errorf("it answers again: %v, %v", err, r.of)
	}
	for n := range 3 {
		_ = look(fmt.Sprintf("x@d%d.test", n), late)
	}
	if !rests(look("y@other.test", nil)) {
		t.Error("a server that hangs for three domains is not left alone")
	}
	if busy := fmt.Errorf("%w: %w", errBusy, context.DeadlineExceeded); !rests(look("y@other.test", busy)) {
		t.Error("it is not left alone any more")
	}
}

package mailbox

import (
	"errors"
	"time"
)

// errLost ends a command whose reply the IMAP client has lost.
var errLost = errors.New("the IMAP server's reply can't be read")

// lastMoment is how long a command may take to see that its connection is gone.
const lastMoment = time.Second

// await waits for what a command brings, and no longer than its connection lives. go-imap can lose a command: when it
// panics while it reads the reply, or waits for somebody to take a number that nobody wants, Wait never returns. Then
// that wait is left behind, and the mailbox is tried again over a new connection. A panic of the command is one of
// whoever waits.
func await[T any](o *box, command func() (T, error)) (T, error) {
	type reply struct {
		what   T
		err    error
		defect any
	}
	said := make(chan reply, 1)
	go func() {
		var r reply
		defer func() { r.defect = recover(); said <- r }()
		r.what, r.err = command()
	}()
	brought := func(r reply) (T, error) {
		if r.defect != nil {
			panic(r.defect)
		}
		return r.what, r.err
	}
	select {
	case r := <-said:
		return brought(r)
	case <-o.gone():
	case <-o.ctx.Done():
	}
	select {
	case r := <-said:
		return brought(r)
	case <-time.After(lastMoment):
		var none T
		return none, errLost
	}
}

// gone tells that nothing more is read from the server.
func (o *box) gone() <-chan struct{} {
	if o.Client == nil {
		return nil
	}
	return o.Closed()
}

// do is await for a command that only succeeds or fails.
func (o *box) do(command func() error) error {
	_, err := await(o, func() (struct{}, error) { return struct{}{}, command() })
	return err
}

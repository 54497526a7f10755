package recall

import (
	"context"
	"fmt"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// A command for a message with thousands of recipients takes many times its size in memory: such ones wait for each
// other, and nobody else's command waits for them.
func TestLargeCommandsWaitForEachOtherAndKeepNobodyWaiting(t *testing.T) {
	for name, subject := range map[string]string{"by its Message-ID": "", "the last": "LAST", "by its number": "id"} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			var many []string
			for n := range 3000 {
				many = append(many, fmt.Sprintf("somebody-with-a-long-name-%d@x.test", n))
			}
			large, mid := o.message("anna", "prices", many...)
			small, other := o.message("bert", "prices", "b@x.test")
			switch subject {
			case "":
				subject = mid
			case "id":
				subject = large
			}
			if err := o.room.Acquire(t.Context(), roomBytes); err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() {
				_, _, err := o.submit(mailBy("anna", "Subject: RECALL "+subject+"\r\nMessage-ID: <c@corp.test>\r\n\r\n", desk))
				done <- err
			}()
			o.command("bert", "Subject: RECALL "+other+"\r\n", "")
			if o.state(small) != holdstore.Recalled || o.state(large) != holdstore.Held {
				t.Errorf("the small one is %s, the large one %s", o.state(small), o.state(large))
			}
			o.room.Release(roomBytes)
			if err := <-done; err != nil || o.state(large) != holdstore.Recalled {
				t.Errorf("the large one is %s: %v", o.state(large), err)
			}
			server.Eventually(t, "all room is there again", func() bool { return o.room.TryAcquire(roomBytes) })
		})
	}
}

// A client that is gone does not wait on.
func TestACommandThatFindsNoRoomInTimeIsTriedAgain(t *testing.T) {
	o := newOffice(t)
	o.room.Acquire(t.Context(), roomBytes)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.enter(ctx,
		&request{form: formAddress, by: submitter{whose: holdstore.Whose{Login: "anna"}}}); err == nil {
		t.Error("it goes on")
	}
}

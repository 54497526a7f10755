package retraction

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

// delivers delivers a message as an MTA does, by LMTP.
func delivers(t *testing.T, boxes *server.Mailboxes, to string) {
	t.Helper()
	c, err := textproto.Dial("tcp", boxes.LMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range []string{"", "LHLO test", "MAIL FROM:<m@evil.test>", "RCPT TO:<" + to + ">", "DATA",
		"From: m@evil.test\r\nMessage-ID: <1@evil.test>\r\n\r\nclick\r\n."} {
		if line != "" {
			err = c.PrintfLine("%s", line)
		}
		if _, _, wrong := c.ReadResponse(0); err != nil || wrong != nil && !errors.As(wrong, new(*textproto.Error)) {
			t.Fatal(err, wrong)
		}
	}
}

// counted is how many messages are in a folder of a user.
func counted(t *testing.T, boxes *server.Mailboxes, user, folder string) uint32 {
	t.Helper()
	c, err := imapclient.DialInsecure(boxes.IMAP, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(user, server.Password).Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := c.Select(folder, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return data.NumMessages
}

// Two operators take the same message at once, on two gateways, and both undo it: a mail server that is asked twice at
// once to move a message has it twice then.
func TestTwoOperatorsAtOnceTakeAMessageOnce(t *testing.T) {
	store, post := site(t)
	boxes := server.StartMailboxes(t)
	const users = 20
	var all []clawback.Mailbox
	for n := range users {
		all = append(all, clawback.Mailbox{Recipient: fmt.Sprintf("u%d@far.test", n), MessageID: "<1@evil.test>"})
		delivers(t, boxes, all[n].Recipient)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 2 {
		m, err := mailbox.New([]mailbox.Server{{Address: boxes.IMAP, TLS: "none", Auth: mailbox.AuthLogin,
			MasterUser: boxes.Master, PasswordFile: boxes.MasterPassword}}, mailbox.Policy{Unread: "delete", Read: "keep"})
		if err != nil {
			t.Fatal(err)
		}
		x := New(store, post, m, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}}, Options{Keep: time.Hour})
		wg.Go(func() { x.Run(ctx) })
	}
	does := func(orders ...func() (clawback.Order, []clawback.Mailbox)) (ids []string) {
		for _, order := range orders {
			o, some := order()
			if len(some) == 0 {
				continue
			}
			id := store.NewClawID()
			must(t, func() error { return clawback.Start(t.Context(), store, id, o, some, time.Hour) })
			ids = append(ids, id)
		}
		for _, id := range ids {
			server.Eventually(t, "it has ended", func() bool {
				c, err := store.ClawBack(t.Context(), id)
				return err == nil && c.Left == 0
			})
		}
		return ids
	}
	has := func(inbox, trash uint32) {
		t.Helper()
		for _, m := range all {
			in, out := counted(t, boxes, m.Recipient, "INBOX"), counted(t, boxes, m.Recipient, "Trash")
			if in != inbox || out != trash {
				t.Errorf("%s has %d messages in the inbox and %d in the trash, want %d and %d", m.Recipient, in, out, inbox, trash)
			}
		}
	}
	take := func() (clawback.Order, []clawback.Mailbox) { return clawback.Order{}, all }
	for range 3 {
		ids := does(take, take)
		has(0, 1)
		undo := func(id string) func() (clawback.Order, []clawback.Mailbox) {
			return func() (o clawback.Order, some []clawback.Mailbox) {
				var c *holdstore.ClawBack
				must(t, func() (err error) {
					if c, err = store.ClawBack(t.Context(), id); err == nil {
						some, err = clawback.Undo(t.Context(), store, c, holdstore.Actor{By: "test"})
					}
					return err
				})
				return clawback.Order{Of: id}, some
			}
		}
		does(undo(ids[0]), undo(ids[1]))
		has(1, 0)
	}
}

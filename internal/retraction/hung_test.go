package retraction

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// hangs is an IMAP server that takes connections and says nothing, until it ends.
func hangs(t *testing.T) (address string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var all []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all = append(all, c)
		}
	})
	return l.Addr().String(), func() {
		l.Close()
		wg.Wait()
		for _, c := range all {
			c.Close()
		}
	}
}

// troubled counts attempts that failed.
type troubled struct {
	*notes
	many atomic.Int64
}

func (l *troubled) Trouble(string, error) { l.many.Add(1) }

// Servers of several domains that hang, each with more mailboxes than there are hands for it, delay no other's: neither
// in claw backs nor in recalls that others ask for.
func TestHungServersDelayNobodyElses(t *testing.T) {
	store, post := site(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	const hung = 6
	boxes := server.StartMailboxes(t)
	at := func(domain, address, password, master string) mailbox.Server {
		domains, err := policy.ParsePatterns([]string{domain})
		if err != nil {
			t.Fatal(err)
		}
		return mailbox.Server{Domains: domains, Address: address, TLS: "none", Auth: mailbox.AuthLogin, MasterUser: master,
			PasswordFile: password}
	}
	servers := []mailbox.Server{at("far.test", boxes.IMAP, boxes.MasterPassword, boxes.Master)}
	var all []clawback.Mailbox
	var ends []func()
	add := func(domain string, n int) {
		all = append(all, clawback.Mailbox{Recipient: fmt.Sprintf("u%d@%s", n, domain), MessageID: "<1@evil.test>"})
	}
	for n := range hung {
		domain := fmt.Sprintf("hung%d.test", n)
		address, end := hangs(t)
		ends = append(ends, end)
		servers = append(servers, at(domain, address, password, "recall"))
		for n := range 30 {
			add(domain, n)
		}
	}
	for n := range 15 {
		add("far.test", n)
	}
	m, err := mailbox.New(servers, mailbox.Policy{Unread: "delete", Read: "keep"})
	if err != nil {
		t.Fatal(err)
	}
	log := &troubled{notes: &notes{outcomes: map[string]string{}}}
	x := New(store, post, m, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	id := store.NewClawID()
	must(t, func() error { return clawback.Start(t.Context(), store, id, clawback.Order{}, all, time.Hour) })
	for n := range hung {
		o := Order{RequestID: fmt.Sprint("H", n), CommandID: "<x@a.test>", MessageID: "<1@a.test>",
			From: fmt.Sprintf("anna@partner%d.test", n), Recipients: []string{fmt.Sprintf("v@hung%d.test", n)}}
		must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
	}
	order(x, t, "X", "v@far.test")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { x.Run(ctx) })
	server.Eventually(t, "the mailboxes of the server that answers are done", func() bool {
		for n := range 15 {
			if log.of(fmt.Sprintf("u%d@far.test", n)) == "" {
				return false
			}
		}
		return log.of("v@far.test") != ""
	})
	if n := log.many.Load(); n > 0 {
		t.Errorf("the others waited until %d attempts at the hung servers had ended", n)
	}
	cancel()
	for _, end := range ends {
		end()
	}
	wg.Wait()
}

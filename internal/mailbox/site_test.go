package mailbox

import (
	"context"
	"fmt"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

const (
	anna = "anna@corp.test"
	bert = "bert@far.test"
	id   = "<price-list@corp.test>"
)

// site is a mail server, bert's own mail program, and the way into that mailbox.
type site struct {
	t   *testing.T
	box *server.Mailboxes
	*imapclient.Client
	*IMAP
	planned []Result
}

// start starts a site with a policy.
func start(t *testing.T, unread, read string, more ...string) *site {
	t.Helper()
	t.Parallel()
	s := &site{t: t, box: server.StartMailboxes(t, more...)}
	s.policy(unread, read)
	s.Client = s.program(bert)
	return s
}

// settings are those of the one server of a test.
type settings struct {
	Server
	Policy
}

func (s *site) settings() settings {
	return settings{Server{Address: s.box.IMAP, TLS: "none", Auth: AuthLogin, MasterUser: s.box.Master,
		PasswordFile: s.box.MasterPassword}, Policy{Unread: "delete", Read: "keep"}}
}

func (s *site) policy(unread, read string) {
	settings := s.settings()
	settings.Policy.Unread, settings.Policy.Read = unread, read
	s.with(settings)
}

func (s *site) with(its settings) {
	s.t.Helper()
	s.IMAP = one(s.t, its)
}

// one is the way into the mailboxes of one server.
func one(t testing.TB, its settings) *IMAP {
	t.Helper()
	m, err := New([]Server{its.Server}, its.Policy)
	if err != nil {
		t.Fatal(err)
	}
	return m.servers[0].Backend.(*IMAP)
}

// program is a user's own mail program, logged in.
func (s *site) program(user string) *imapclient.Client {
	s.t.Helper()
	c, err := imapclient.DialInsecure(s.box.IMAP, nil)
	if err == nil {
		err = c.Login(user, server.Password).Wait()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// message is what anna wrote, with other header lines before hers.
func message(id string, more ...string) string {
	return strings.Join(append(more, "From: Anna <"+anna+">", "To: "+bert, "Date: Tue, 24 Nov 2026 09:00:00 +0000",
		"Subject: the price list", "Message-ID: "+id, "", "the prices", ""), "\r\n")
}

// deliver delivers as Postfix does, by LMTP.
func (s *site) deliver(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if err := lmtp(s.box.LMTP, bert, text); err != nil {
			s.t.Fatalf("%v\n%s", err, s.box.Log())
		}
	}
}

func lmtp(addr, to, text string) error {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, step := range []struct {
		line string
		code int
	}{{"", 220}, {"LHLO test", 250}, {"MAIL FROM:<" + anna + ">", 250}, {"RCPT TO:<" + to + ">", 250}, {"DATA", 354},
		{text + ".", 250}} {
		if step.line != "" {
			c.PrintfLine("%s", step.line)
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return err
		}
	}
	return nil
}

// target is the recall of a message.
func target(id string) Target {
	return Target{Recipient: bert, MessageID: id, From: anna, Received: time.Now(),
		Date: "Tue, 24 Nov 2026 10:00:00 +0100"}
}

// takes recalls, and wants an outcome.
func (s *site) takes(t Target, want string) Result {
	s.t.Helper()
	r, err := s.Retract(context.Background(), t, func(r Result) error { s.planned = append(s.planned, r); return nil })
	if err != nil || r.Outcome != want {
		s.t.Fatalf("got %+v, %v; want %s\n%s", r, err, want, s.box.Log())
	}
	return r
}

// ids are the Message-IDs in a folder of bert's.
func (s *site) ids(folder string) (all []string) {
	s.t.Helper()
	if _, err := s.Select(folder, nil).Wait(); err != nil {
		return nil
	}
	uids, err := s.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil || len(uids.AllUIDs()) == 0 {
		return nil
	}
	messages, err := s.Fetch(imap.UIDSetNum(uids.AllUIDs()...), &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range messages {
		all = append(all, "<"+m.Envelope.MessageID+">")
	}
	return all
}

func (s *site) has(folder string, want ...string) {
	s.t.Helper()
	if got := s.ids(folder); !slices.Equal(got, want) {
		s.t.Errorf("%s has %v, want %v", folder, got, want)
	}
}

// flag sets a flag on all messages of a folder with a Message-ID.
func (s *site) flag(folder, id string, f imap.Flag) {
	s.t.Helper()
	all := s.uids(folder, id)
	if err := s.Store(all, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{f}}, nil).Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) uids(folder, id string) imap.UIDSet {
	s.t.Helper()
	if _, err := s.Select(folder, nil).Wait(); err != nil {
		s.t.Fatal(err)
	}
	found, err := s.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID",
		Value: id}}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) == 0 {
		s.t.Fatal("no such message", id, err)
	}
	return imap.UIDSetNum(found.AllUIDs()...)
}

// moves moves a message as a filter or its user does.
func (s *site) moves(from, id, to string) {
	s.t.Helper()
	s.Create(to, nil).Wait()
	if _, err := s.Move(s.uids(from, id), to).Wait(); err != nil {
		s.t.Fatal(err)
	}
}

func other(n int) string { return fmt.Sprintf("<other-%d@corp.test>", n) }

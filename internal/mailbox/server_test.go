package mailbox

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestTLS(t *testing.T) {
	s := start(t, "delete", "keep")
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(s.box.CA)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	for mode, address := range map[string]string{"starttls": s.box.IMAP, "implicit": s.box.IMAPS} {
		settings := s.settings()
		settings.TLS, settings.Address = mode, address
		s.with(settings)
		s.deliver(message(id))
		if _, err := s.Retract(context.Background(), target(id), nil); err == nil ||
			!strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: a stranger's certificate is taken: %v", mode, err)
		}
		s.IMAP.roots = roots
		s.takes(target(id), Retracted)
	}
	s.has("INBOX")
}

// What a server does not offer can't harm the user's other messages.
func TestAServerOfFewWords(t *testing.T) {
	for capability, want := range map[string][3]string{
		"IMAP4rev1":                       {Refused, Refused, Refused},
		"IMAP4rev1 MOVE":                  {Refused, Refused, Moved},
		"IMAP4rev1 UIDPLUS":               {Retracted, Replaced, Moved},
		"IMAP4rev1 UIDPLUS NAMESPACE":     {Retracted, Replaced, Moved},
		"IMAP4rev1 UIDPLUS CONDSTORE":     {Retracted, Replaced, Moved},
		"IMAP4rev1 UIDPLUS MOVE LITERAL+": {Retracted, Replaced, Moved},
	} {
		t.Run(capability, func(t *testing.T) {
			s := start(t, "delete", "keep", "imap_capability = "+capability)
			for n, policy := range []string{"delete", "replace", "move:Recalled"} {
				s.policy(policy, "keep")
				s.deliver(message(other(n)), message(id))
				s.flag("INBOX", other(n), `\Deleted`)
				s.takes(target(id), want[n])
				s.uids("INBOX", other(n)) // it is there
				if want[n] == Refused {
					s.moves("INBOX", id, "Before")
				} else if strings.Contains(strings.Join(s.ids("INBOX"), " "), id) {
					t.Errorf("%s: it is still there", policy)
				}
				s.Delete("Before").Wait()
			}
		})
	}
}

func TestFoldersOfOthersAreNotHis(t *testing.T) {
	at := "location = maildir:~/public"
	if server.Dovecot24(t) {
		at = "mail_driver = maildir\n  mail_path = ~/public"
	}
	s := start(t, "delete", "keep", `namespace public {
  type = public
  separator = .
  prefix = Public.
  `+at+`
  list = yes
  subscriptions = no
}`)
	s.deliver(message(id))
	s.moves("INBOX", id, "Public.All")
	s.takes(target(id), NotFound)
	s.has("Public.All", id)
}

func TestDeletedByPOP(t *testing.T) {
	s := start(t, "delete", "keep")
	s.deliver(message(id))
	c, err := textproto.Dial("tcp", s.box.POP3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range []string{"", "USER " + bert, "PASS " + server.Password, "RETR 1", "DELE 1", "QUIT"} {
		if line != "" {
			c.PrintfLine("%s", line)
		}
		answer, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(answer, "+OK") {
			t.Fatalf("%s: %q, %v", line, answer, err)
		}
		if strings.HasPrefix(line, "RETR") {
			c.ReadDotBytes()
		}
	}
	s.takes(target(id), NotFound)
}

// actor is an IMAP server that plays a part: it answers each command by name.
func actor(t testing.TB, play func(command, tag string) string) *IMAP {
	t.Helper()
	return actorOfLines(t, func(line, tag string) string {
		command, _, _ := strings.Cut(line, " ")
		return play(command, tag)
	})
}

// actorOfLines is an actor that hears all of a command, without its tag and "UID".
func actorOfLines(t testing.TB, play func(line, tag string) string) *IMAP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			act(c, play)
		}
	}()
	password := t.TempDir() + "/password"
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return one(t, settings{Server{Address: l.Addr().String(), TLS: "none", Auth: AuthLogin, MasterUser: "recall",
		PasswordFile: password}, Policy{Unread: "delete", Read: "keep"}})
}

func act(c net.Conn, play func(line, tag string) string) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(long))
	fmt.Fprint(c, play("", "*"))
	in := bufio.NewScanner(c)
	for in.Scan() {
		tag, rest, _ := strings.Cut(in.Text(), " ")
		if _, err := fmt.Fprint(c, play(strings.TrimPrefix(rest, "UID "), tag)); err != nil {
			return
		}
	}
}

// polite is a server with one folder, and the message in it.
func polite(command, tag string) string {
	head := "From: " + anna + "\r\nMessage-ID: " + id + "\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n"
	answer := map[string]string{
		"":       "* OK [CAPABILITY IMAP4rev1 UIDPLUS CONDSTORE] hello\r\n",
		"LOGIN":  tag + " OK [CAPABILITY IMAP4rev1 UIDPLUS CONDSTORE] in\r\n",
		"LIST":   "* LIST () \"/\" INBOX\r\n",
		"SEARCH": "* SEARCH 7\r\n",
		"FETCH": fmt.Sprintf("* 1 FETCH (UID 7 FLAGS () MODSEQ (5) BODY[HEADER.FIELDS (MESSAGE-ID FROM DATE)]<0> "+
			"{%d}\r\n%s BODY[HEADER.FIELDS (RECEIVED DELIVERED-TO)]<0> \"Received: x\")\r\n",
			len(head), head),
		"EXAMINE": "* OK [UIDVALIDITY 3] x\r\n", "SELECT": "* OK [UIDVALIDITY 3] x\r\n",
	}[command]
	if command == "" || command == "LOGIN" {
		return answer
	}
	return answer + tag + " OK done\r\n"
}

func TestAServerThatIsStrange(t *testing.T) {
	flood := strings.Repeat("x", maxSaid)
	parts := map[string]func(command, tag string) string{
		"silent":           func(string, string) string { return "" },
		"goes at once":     func(string, string) string { return "* BYE no\r\n" },
		"no IMAP":          func(string, string) string { return "220 mail.far.test ESMTP\r\n" },
		"endless greeting": func(string, string) string { return "* OK " + flood },
		"folders were rebuilt": func(command, tag string) string {
			if command == "SELECT" {
				return "* OK [UIDVALIDITY 4] x\r\n" + tag + " OK\r\n"
			}
			return polite(command, tag)
		},
		"flags always change": func(command, tag string) string { return polite(command, tag) }, // never \Deleted
	}
	for command, answer := range map[string]string{
		"LOGIN": "%s NO [UNAVAILABLE] later\r\n", "LIST": strings.Repeat("* LIST () \"/\" x\r\n", 100_000),
		"SEARCH":  "* SEARCH " + strings.Repeat("7 ", 1<<20) + "\r\n",
		"EXAMINE": "%s NO [INUSE] busy\r\n", "SELECT": "* OK [UIDVALIDITY 99999999999999] x\r\n",
		"FETCH": "* 1 FETCH (UID 7 BODY[] {4294967295}\r\n",
		"STORE": "* 1 FETCH (FLAGS " + strings.Repeat("(", 1<<20), "CAPABILITY": flood, "fetch ": "",
	} {
		parts[command+" "+answer[:min(len(answer), 20)]] = func(c, tag string) string {
			if c == command {
				return strings.Replace(answer, "%s", tag, 1)
			}
			return polite(c, tag)
		}
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			r, err := actor(t, part).Retract(ctx, target(id), func(Result) error { return nil })
			if err == nil {
				t.Errorf("got %+v", r)
			}
			t.Log(err)
		})
	}
}

func TestTooManyAtOnceWait(t *testing.T) {
	b := actor(t, func(string, string) string { return "" })
	for range atOnce {
		b.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Retract(ctx, target(id), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// relay leads to an IMAP server, and calls before once when a command that has some text is on its way there.
func relay(t *testing.T, addr, text string, before func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		wg.Go(func() { io.Copy(in, out); in.Close() })
		defer out.Close()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if strings.Contains(lines.Text(), text) {
				before()
			}
			fmt.Fprintf(out, "%s\r\n", lines.Text())
		}
	})
	return l.Addr().String()
}

// A mailbox that isn't there is told from a password that is wrong by a mailbox that was opened before.
func TestNoSuchMailboxIsSaidOnceTheMasterUserIsKnownToWork(t *testing.T) {
	const in, out = "%s OK [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n", "%s NO [AUTHENTICATIONFAILED] no\r\n"
	for want, logins := range map[string][]string{NotFound: {in, out, in}, "": {in, out, out}} {
		b := actor(t, func(command, tag string) string {
			if command != "LOGIN" || len(logins) == 0 {
				return polite(command, tag)
			}
			answer := logins[0]
			logins = logins[1:]
			return fmt.Sprintf(answer, tag)
		})
		gone := target(id)
		gone.Recipient = "alias@far.test"
		if r, err := b.Retract(t.Context(), target(id), func(Result) error { return errors.New("not now") }); err == nil {
			t.Fatalf("%+v", r)
		}
		r, err := b.Retract(t.Context(), gone, nil)
		if r.Outcome != want || errors.Is(err, ErrLogin) != (want == "") {
			t.Errorf("got %+v, %v; want %q", r, err, want)
		}
	}
}

// Whatever a server answers to one command, the job ends, and nothing is said to be done that is not planned.
func FuzzServer(f *testing.F) {
	for _, command := range []string{"", "LOGIN", "LIST", "EXAMINE", "SEARCH", "FETCH", "SELECT", "STORE", "EXPUNGE"} {
		f.Add(command, polite(command, "T"))
		f.Add(command, "* OK [COPYUID 1 2:3 4:*] x\r\nT OK [APPENDUID 1 99] x\r\n")
	}
	f.Add("SEARCH", "* ESEARCH (TAG \"T\") UID ALL 1:*\r\nT OK x\r\n")
	f.Add("EXPUNGE", "* 0 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK x\r\n")
	f.Fuzz(func(t *testing.T, command, answer string) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		start, planned := time.Now(), false
		defer func() {
			if took := time.Since(start); took > enough {
				t.Errorf("it took %v", took)
			}
		}()
		r, err := actor(t, func(c, tag string) string {
			if c == command {
				return strings.ReplaceAll(answer, "T ", tag+" ")
			}
			return polite(c, tag)
		}).Retract(ctx, target(id), func(Result) error { planned = true; return nil })
		if err == nil && r.Outcome == Retracted && !planned {
			t.Errorf("%+v without a plan", r)
		}
	})
}

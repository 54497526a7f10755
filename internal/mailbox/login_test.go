package mailbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

func TestAMasterUserActsForTheRecipientByPLAIN(t *testing.T) {
	s := start(t, "delete", "keep")
	its := s.settings()
	its.Auth = AuthPlain
	s.with(its)
	s.deliver(message(id))
	s.takes(target(id), Retracted)
	s.has("INBOX")
}

func TestTheServerOfADomainIsAsked(t *testing.T) {
	s := start(t, "delete", "keep")
	elsewhere := s.settings().Server
	elsewhere.Address = "127.0.0.1:1" // nobody is there
	here := s.settings().Server
	here.Domains, elsewhere.Domains = domains(t, "far.test", "*.far.test"), domains(t, "*")
	m, err := New([]Server{{Domains: domains(t, "closed.far.test")}, here, elsewhere}, s.p)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(Result) error { return nil }
	s.deliver(message(id))
	if r, err := m.Retract(t.Context(), target(id), plan); err != nil || r.Outcome != Retracted {
		t.Errorf("its own server: %+v, %v", r, err)
	}
	for to, reached := range map[string]bool{"bert@closed.far.test": false, "bert@FAR.test": true, "x@other.test": true,
		"bert@far.test@closed.far.test": false} {
		if m.Reaches(to) != reached {
			t.Errorf("%s is reached: %v", to, !reached)
		}
	}
	closed := target(id)
	closed.Recipient = "bert@closed.far.test"
	if r, err := m.Retract(t.Context(), closed, plan); err != nil || r.Outcome != Refused {
		t.Errorf("a domain without a server: %+v, %v", r, err)
	}
	away := target(id)
	away.Recipient = "x@other.test"
	if r, err := m.Retract(t.Context(), away, plan); err == nil || errors.Is(err, ErrLogin) {
		t.Errorf("a server that is away: %+v, %v", r, err)
	}
	if _, err := m.Check(t.Context(), bert); err != nil {
		t.Errorf("check: %v", err)
	}
}

func domains(t *testing.T, names ...string) policy.Patterns {
	t.Helper()
	list, err := policy.ParsePatterns(names)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What a recipient is called never makes a login that is another's.
func TestLoginsAreMadeOfTheRecipientOnly(t *testing.T) {
	t.Parallel()
	for template, c := range map[string]map[string]string{ // of the login for each user; empty: refused
		"":                     {"b@far.test": "b@far.test*recall", "b*c@far.test": "", "b@far.test*x": ""},
		"{address}":            {"b@far.test": "b@far.test", "b*c@far.test": "b*c@far.test"},
		`far\{master}\{local}`: {"b@far.test": `far\recall\b`, `b\c@far.test`: "", "b far@far.test": "b far"},
		`svc@far.test\{local}`: {"b@far.test": `svc@far.test\b`, `b\anna@far.test`: ""},
		"{local}%{master}":     {"b@far.test": "b%recall", "b%c@far.test": ""},
		"{local}@{domain}":     {`"b@c"@far.test`: "", "b@far.test": "b@far.test"},
	} {
		for user, want := range c {
			if want == "b far" {
				want = `far\recall\b far`
			}
			s := Server{Auth: AuthLogin, Login: template, MasterUser: "recall"}
			got := ""
			if s.means(user) {
				got = s.name(user)
			}
			if got != want {
				t.Errorf("%q for %q: got %q, want %q", template, user, got, want)
			}
		}
	}
}

// Exchange accepts a login, and then opens nothing; and it says in words only that it is asked too often.
func TestExchangesOwnWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command, reply string
		login          bool
		wait           time.Duration
	}{
		"not connected": {"LIST", "%s BAD User is authenticated but not connected.\r\n", true, 0},
		"throttled": {"EXAMINE", "%s NO Request is throttled. Suggested Backoff Time: 1500 milliseconds\r\n", false,
			1500 * time.Millisecond},
		"throttled at login": {"LOGIN", "%s NO [LIMIT] Request is throttled. Suggested Backoff Time: 99999999 " +
			"milliseconds\r\n", false, time.Hour},
		"overflow": {"EXAMINE", "%s NO Request is throttled. Suggested Backoff Time: 99999999999999999999 milliseconds\r\n",
			false, 0},
	} {
		b := actor(t, func(command, tag string) string {
			if command == c.command {
				return tag + c.reply[2:]
			}
			return polite(command, tag)
		})
		ctx, cancel := context.WithTimeout(t.Context(), enough)
		r, err := b.Retract(ctx, target(id), func(Result) error { return nil })
		cancel()
		if err == nil || errors.Is(err, ErrLogin) != c.login || Wait(err) != c.wait {
			t.Errorf("%s: %+v, %v, wait %s", name, r, err, Wait(err))
		}
	}
}

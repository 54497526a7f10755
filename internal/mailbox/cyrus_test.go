package mailbox

import (
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A real Cyrus, which has no master user's login: one of its proxyservers acts for each recipient.
func TestCyrus(t *testing.T) {
	t.Parallel()
	c := server.StartCyrus(t)
	deliver := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if err := lmtp(c.LMTP, bert, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	take := func(policy, message, want string) {
		t.Helper()
		b := one(t, settings{Server{Address: c.IMAP, TLS: "none", Auth: AuthPlain, MasterUser: c.Master,
			PasswordFile: c.MasterPassword}, Policy{Unread: policy, Read: "keep"}})
		r, err := b.Retract(t.Context(), target(message), func(Result) error { return nil })
		if err != nil || r.Outcome != want {
			t.Errorf("%s of %s: %+v, %v; want %s", policy, message, r, err, want)
		}
	}
	deliver(message(other(1)))
	for policy, want := range map[string]string{"delete": Retracted, "replace": Replaced, "move:Recalled": Moved} {
		deliver(message(id))
		take(policy, id, want)
	}
	take("delete", "<never@corp.test>", NotFound)
	take("delete", other(1), Retracted) // nothing else was touched
}

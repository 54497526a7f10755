package release

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mark"
)

func TestAReleasedMessageIsLockedWhereNoSignatureForbidsIt(t *testing.T) {
	marker := mark.New([]byte("secret"))
	var elements []string
	for _, e := range marker.CancelLocks(claim("b@x.test").ID, "<1@corp.test>", []string{"x.test"}) {
		elements = append(elements, e.String())
	}
	lock := "Cancel-Lock: " + strings.Join(elements, "\r\n\t") + "\r\n"
	for name, c := range map[string]struct {
		header, id string
		off        bool
		rule       string
		want       string
	}{
		"plain": {"Subject: x\r\n", "<1@corp.test>", false, "default", lock},
		"signed": {"DKIM-Signature: v=1; h=From:\r\n\tSubject; b=x\r\n", "<1@corp.test>", false, "default",
			lock},
		"oversigned": {"dkim-signature : v=1; h=From:\r\n\tcancel-LOCK ; b=x\r\nSubject: x\r\n", "<1@corp.test>",
			false, "default", ""},
		"locked by its author": {"Cancel-lock:\r\n sha256:abc\r\n", "<1@corp.test>", false, "default", ""},
		"in a continuation":    {"Subject: x\r\n Cancel-Lock: no field\r\n", "<1@corp.test>", false, "default", lock},
		"without Message-ID":   {"Subject: x\r\n", "", false, "default", ""},
		"switched off":         {"Subject: x\r\n", "<1@corp.test>", true, "default", ""},
		"our own":              {"Subject: x\r\n", "<1@corp.test>", false, "report", ""},
		"no line end":          {"DKIM-Signature: h=cancel-lock", "<1@corp.test>", false, "default", ""},
	} {
		h := claim("b@x.test")
		h.MessageID, h.Rule = c.id, c.rule
		l := New(&memory{}, marker, &notes{}, Options{CancelLock: !c.off})
		if got := l.lock(&h.Hold, fields(c.header)); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOurOwnMailsGoToTheirOwnPort(t *testing.T) {
	users, own := startPort(t, nil), startPort(t, nil)
	s := &sender{loop: New(&memory{content: message}, mark.New([]byte("secret")), &notes{},
		Options{SMTP: users.addr, OwnSMTP: own.addr})}
	t.Cleanup(s.hangUp)
	for _, rule := range []string{"default", "report", "report", "default"} {
		c := claim("b@x.test")
		c.Rule = rule
		s.release(t.Context(), t.Context(), c)
	}
	_, atUsers := users.got()
	_, atOwn := own.got()
	if len(atUsers) != 2 || len(atOwn) != 2 || strings.Contains(atOwn[0], "Cancel-Lock") {
		t.Errorf("%d messages of users, %d of ours: %q", len(atUsers), len(atOwn), atOwn)
	}
}

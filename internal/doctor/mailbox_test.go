package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestEachFaultOfAServerWithMailboxesIsNamed(t *testing.T) {
	t.Parallel()
	good, poor := server.StartMailboxes(t), server.StartMailboxes(t, "imap_capability = IMAP4rev1")
	const lines = "[[inbound.mailbox.server]]\ndomains = [\"far.test\"]\naddress = %q\ntls = \"none\"\n" +
		"master_user = %q\npassword_file = %q\n"
	for name, c := range map[string]struct {
		address, master, user string
		want                  string
	}{
		"all is well":         {good.IMAP, good.Master, "bert@far.test", "mailbox mailbox"},
		"nobody is named":     {good.IMAP, good.Master, "", "mailbox"},
		"away":                {server.FreeAddr(t), good.Master, "", "mailbox.reachable"},
		"not a master":        {good.IMAP, "nobody", "bert@far.test", "mailbox mailbox.login"},
		"can't remove":        {poor.IMAP, good.Master, "bert@far.test", "mailbox mailbox.expunge"},
		"of another domain":   {good.IMAP, good.Master, "carl@other.test", "mailbox mailbox.server"},
		"nowhere is a server": {"", "", "bert@far.test", "mailbox.server"},
	} {
		config := ""
		if c.address != "" {
			config = fmt.Sprintf(lines, c.address, c.master, good.MasterPassword)
		}
		s := siteOf(t, config)
		if c.user != "" {
			s.Mailboxes = []string{c.user}
		}
		found := gathered(func(r report) { mailboxes(t.Context(), s, r) })
		fixed(t, found)
		var checks []string
		for _, f := range found {
			checks = append(checks, f.Check)
		}
		slices.Sort(checks)
		if got := strings.Join(checks, " "); got != c.want {
			t.Errorf("%s: %q: %+v", name, got, found)
		}
	}
}

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
	moves := server.StartMailboxes(t, "imap_capability = IMAP4rev1 MOVE")
	const lines = "[[inbound.mailbox.server]]\ndomains = [\"far.test\"]\naddress = %q\ntls = \"none\"\n" +
		"master_user = %q\npassword_file = %q\nunread = %q\n"
	for name, c := range map[string]struct {
		address, master, user string
		unread                string
		want, says            string
	}{
		"all is well": {good.IMAP, good.Master, "bert@far.test", "delete", "mailbox mailbox",
			"bert@far.test can be opened; a single message can be deleted for good, or moved"},
		"nobody is named": {good.IMAP, good.Master, "", "delete", "mailbox", ""},
		"away":            {server.FreeAddr(t), good.Master, "", "delete", "mailbox.reachable", ""},
		"not a master":    {good.IMAP, "nobody", "bert@far.test", "delete", "mailbox mailbox.login", ""},
		"can't remove": {poor.IMAP, good.Master, "bert@far.test", "delete", "mailbox mailbox.expunge",
			"can be neither deleted nor moved"},
		"can only move": {moves.IMAP, good.Master, "bert@far.test", "delete", "mailbox mailbox.expunge",
			"can be moved, but not deleted"},
		"moves": {moves.IMAP, good.Master, "bert@far.test", "move:X", "mailbox mailbox",
			"read at the very same moment"},
		"can't move": {poor.IMAP, good.Master, "bert@far.test", "move:X", "mailbox mailbox.move",
			"neither MOVE nor"},
		"of another domain":   {good.IMAP, good.Master, "carl@other.test", "delete", "mailbox mailbox.server", ""},
		"nowhere is a server": {"", "", "bert@far.test", "", "mailbox.server", ""},
	} {
		config := ""
		if c.address != "" {
			config = fmt.Sprintf(lines, c.address, c.master, good.MasterPassword, c.unread)
		}
		s := siteOf(t, config)
		if c.user != "" {
			s.Mailboxes = []string{c.user}
		}
		found := gathered(func(r report) { mailboxes(t.Context(), s, r) })
		fixed(t, found)
		var checks []string
		said := ""
		for _, f := range found {
			checks = append(checks, f.Check)
			said += f.Text + "\n"
		}
		slices.Sort(checks)
		if got := strings.Join(checks, " "); got != c.want || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q: %+v", name, got, found)
		}
	}
}

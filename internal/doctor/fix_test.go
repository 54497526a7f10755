package doctor

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// runs demands that a fix is a command that a shell takes, of programs that there are, or says why it is none.
func runs(t *testing.T, f Finding) {
	t.Helper()
	if reason, ok := strings.CutPrefix(f.Fix, byHand); ok {
		if !strings.Contains(reason, ": ") {
			t.Errorf("%s: %q does not say why it is not a command", f.Check, f.Fix)
		}
		return
	}
	if out, err := exec.Command("sh", "-n", "-c", f.Fix).CombinedOutput(); err != nil {
		t.Errorf("%s: %q: %v %s", f.Check, f.Fix, err, out)
	}
	command, _, _ := strings.Cut(f.Fix, " # ")
	for _, part := range regexp.MustCompile(`&&|\|\||;`).Split(command, -1) {
		program := regexp.MustCompile(`^(postconf -|postfix (-c \S+ )?(reload|start|check)$|recallctl |recall-milter -t ` +
			`|systemctl (enable|restart|reload) |journalctl |redis-cli -[hs] |ch(mod|own|grp) |sudo )`)
		if !program.MatchString(strings.TrimSpace(part)) {
			t.Errorf("%s: %q is not a command, and does not say why", f.Check, f.Fix)
		}
	}
}

// Commands name the config and the Postfix that were looked at, where they are not the usual ones.
func TestFixesNameWhatWasLookedAt(t *testing.T) {
	s := siteOf(t, "")
	s.File, s.User = "/srv/my mail/c.toml", "milter"
	found := s.pasteable([]Finding{{Fix: "recallctl setup --apply --reload"}})
	if found[0].Fix != "recallctl -c '/srv/my mail/c.toml' setup --user milter --apply --reload" {
		t.Error(found[0].Fix)
	}
}

package hint

import (
	"os/exec"
	"testing"
)

func TestACommandNamesTheGatewayThatIsMeant(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Recallctl("", "resume"), "recallctl resume"},
		{Recallctl("/etc/recall-milter/recall-milter.toml", "resume"), "recallctl resume"},
		{Recallctl("/srv/b.toml", "resume"), "recallctl -c /srv/b.toml resume"},
		{Recallctl("/srv/my mail.toml", "fsck --repair"), "recallctl -c '/srv/my mail.toml' fsck --repair"},
		{Postfix("postfix", "/etc/postfix", "reload"), "postfix reload"},
		{Postfix("postconf", "/etc/postfix-out", "-e a=b"), "postconf -c /etc/postfix-out -e a=b"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestTheShellReadsAQuotedWordAsItWas(t *testing.T) {
	for _, word := range []string{"", "plain", "a b", "it's", `"$HOME"`, "a\nb", "*", "é", "a;b", "--", `back\slash`} {
		if out, err := exec.Command("sh", "-c", "printf %s "+Quoted(word)).Output(); err != nil || string(out) != word {
			t.Errorf("%q became %q (%v)", word, out, err)
		}
	}
}

package doctor

import (
	"os"
	"strings"

	"github.com/recall-milter/recall-milter/internal/hint"
)

// asRoot is the fix of what an ordinary user can't look at.
const asRoot = "sudo recallctl doctor"

// byHand begins a fix that is not a command, and goes on with the reason.
const byHand = "by hand: "

// inConfig is the fix for what only the administrator can decide: a line of the daemon's config.
func inConfig(s *Site, line string) string {
	return byHand + "what the config says is your decision: write " + line + " into " + s.File +
		", then: systemctl reload recall-milter"
}

// words makes one line of an error.
func words(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cutUnix cuts unix:/path.
func cutUnix(address string) (path string, ok bool) { return strings.CutPrefix(address, "unix:") }

// pasteable names in each command what is not where its program looks by itself: our config, and the folder of
// Postfix's.
func (s *Site) pasteable(found []Finding) []Finding {
	var pairs []string
	named := ""
	if s.mta != nil && s.mta.Dir != hint.PostfixDir {
		named = " --postfix " + hint.Quoted(s.mta.Dir)
		pairs = append(pairs, "postconf -", hint.Postfix("postconf", s.mta.Dir, "-"))
		for _, verb := range []string{"reload", "start", "check"} {
			pairs = append(pairs, "postfix "+verb, hint.Postfix("postfix", s.mta.Dir, verb))
		}
	}
	if s.User != "" && s.User != DaemonUser {
		named += " --user " + hint.Quoted(s.User)
	}
	pairs = append(pairs, "recallctl -c ", "recallctl -c ", "recallctl setup", hint.Recallctl(s.File, "setup")+named)
	if s.Sendmail != "" && s.Sendmail != SendmailFile {
		named += " --sendmail " + hint.Quoted(s.Sendmail)
	}
	pairs = append(pairs, "recallctl doctor", hint.Recallctl(s.File, "doctor")+named,
		"recallctl ", hint.Recallctl(s.File, ""))
	typed := strings.NewReplacer(pairs...)
	for n := range found {
		found[n].Fix = typed.Replace(found[n].Fix)
	}
	return found
}

package doctor

import (
	"os"
	"strings"
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

// quoted is a word for the shell.
func quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool {
		return c > 0x7e || c < '!' || strings.ContainsRune("!\"#$&'()*;<>?[\\]^`{|}~", c)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cutUnix cuts unix:/path.
func cutUnix(address string) (path string, ok bool) { return strings.CutPrefix(address, "unix:") }

// defaultConfig is where recallctl looks by itself.
const defaultConfig = "/etc/recall-milter/recall-milter.toml"

// pasteable names in each command what is not where its program looks by itself: our config, and the folder of
// Postfix's.
func (s *Site) pasteable(found []Finding) []Finding {
	var pairs []string
	if s.mta != nil && s.mta.Dir != "/etc/postfix" {
		dir := quoted(s.mta.Dir)
		pairs = append(pairs, "postconf -", "postconf -c "+dir+" -", "postfix reload", "postfix -c "+dir+" reload", "postfix start", "postfix -c "+dir+" start",
			"postfix check", "postfix -c "+dir+" check", "recallctl setup", "recallctl setup --postfix "+dir, "recallctl doctor", "recallctl doctor --postfix "+dir)
	}
	for n := range found {
		found[n].Fix = strings.NewReplacer(pairs...).Replace(found[n].Fix)
		if s.File != defaultConfig {
			found[n].Fix = strings.NewReplacer("recallctl -c ", "recallctl -c ", "recallctl ", "recallctl -c "+quoted(s.File)+" ").Replace(found[n].Fix)
		}
	}
	return found
}

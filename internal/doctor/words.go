package doctor

import (
	"os"
	"strings"
)

// asRoot is the mend of what an ordinary user can't look at.
const asRoot = "run this as root, or as a member of the group recall-milter"

// byHand begins a mend that is no command, and goes on with the reason.
const byHand = "by hand: "

// inConfig is the mend for what only the administrator can decide: a line of the daemon's config.
func inConfig(s *Site, line string) string {
	return byHand + "what the config says is your decision: write " + line + " into " + s.File + ", then: systemctl reload recall-milter"
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

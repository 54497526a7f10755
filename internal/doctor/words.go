package doctor

import (
	"os"
	"strings"
)

// asRoot is the mend of what an ordinary user can't look at.
const asRoot = "run this as root, or as a member of the group recall-milter"

// words makes one line of an error.
func words(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cutUnix cuts unix:/path.
func cutUnix(address string) (path string, ok bool) { return strings.CutPrefix(address, "unix:") }

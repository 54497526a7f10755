package lists

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// grace is a line of a map of graces.
type grace struct {
	text string
	line int
}

// maxGraces bounds the lines of a map of graces.
const maxGraces = 500_000

// errGrace says that a line of a map is invalid. It does not quote the line: whoever can make the file a link to a
// secret would read that in the log.
var errGrace = errors.New("invalid entry: use an address, \"@domain\" or \"*\", a blank, and a duration such as " +
	"\"10m\", or \"default\"")

// parseGraces reads an address, "@domain" or "*", and behind it a duration or "default", on each line.
func parseGraces(duration func(string) (time.Duration, error)) func([]byte) (*content, error) {
	return func(text []byte) (*content, error) {
		c := &content{entries: &policy.Entries{}, graces: map[string]grace{}}
		return c, eachLine(text, func(n int, line string) error {
			words := strings.Fields(line)
			if len(words) != 2 || words[0] != "*" && (!strings.Contains(words[0], "@") || strings.Contains(words[0], "*")) {
				return errGrace
			}
			if _, err := duration(words[1]); err != nil && words[1] != policy.DefaultGrace {
				return errGrace
			}
			key := policy.Fold(words[0])
			if first, twice := c.graces[key]; twice {
				return fmt.Errorf("its address is in line %d already", first.line)
			}
			if c.all++; c.all > maxGraces {
				return fmt.Errorf("more than %d entries", maxGraces)
			}
			c.graces[strings.Clone(key)] = grace{strings.Clone(words[1]), n}
			return nil
		})
	}
}

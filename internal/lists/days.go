package lists

import (
	"fmt"

	"github.com/recall-milter/recall-milter/policy"
)

// maxDays bounds the lines of a list of dates.
const maxDays = 100_000

// parseDays reads a date at the beginning of each line.
func parseDays(text []byte) (*content, error) {
	c := &content{entries: &policy.Entries{}}
	return c, eachLine(text, func(n int, line string) error {
		if c.all++; c.all > maxDays {
			return fmt.Errorf("more than %d dates", maxDays)
		}
		return c.days.Add(n, line)
	})
}

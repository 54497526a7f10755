package mark

import (
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
)

// maxLocked is for how many recipient domains a message has a lock; those that come later in the envelope do without.
const maxLocked = 16

// CancelLocks returns the elements of the Cancel-Lock of a message: one for each recipient domain, of which domains
// lists those of all recipients in envelope order. So that the field does not tell whether somebody has a blind copy in
// another domain, it has two elements at least, and always a power of two, in an order that says nothing.
func (m *Marker) CancelLocks(hold, messageID string, domains []string) (locks []cancel.Element) {
	names := Locked(domains)
	for n, most := 0, filled(len(names)); len(names) < most; n++ {
		names = append(names, "#"+strconv.Itoa(n)) // no domain: nobody is ever sent a key to it
	}
	for _, name := range names {
		key, ok := m.CancelKey(hold, name, messageID)
		if !ok {
			return nil
		}
		locks = append(locks, cancel.Lock(key))
	}
	slices.SortFunc(locks, func(a, b cancel.Element) int { return strings.Compare(a.Value, b.Value) })
	return locks
}

// Locked lists the domains for which a message to these has a lock, each once.
func Locked(domains []string) (some []string) {
	for _, d := range domains {
		if len(some) < maxLocked && d != "" && !slices.Contains(some, d) {
			some = append(some, d)
		}
	}
	return some
}

// filled is the next power of two, and at least two.
func filled(n int) int {
	most := 2
	for most < n {
		most *= 2
	}
	return most
}

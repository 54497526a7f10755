package holdstore

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"
)

// alphabet is that of hold IDs: without 0 and O, 1, I and L, which people confuse.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

const idLength = 13

var idEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// random is how many numbers the last 5 characters can say.
const random = 31 * 31 * 31 * 31 * 31

// lastID lets no two IDs of one process be the same.
var lastID struct {
	sync.Mutex
	ms, n int64
}

// backStep is how far behind the last ID's time another may be that still gets that time: whoever read the clock first may come second.
const backStep = time.Minute

// newID makes a hold ID: 8 characters of milliseconds since 2026, so that IDs sort by time, and 5 random ones.
func newID(at time.Time) string {
	ms, n := max(at.Sub(idEpoch).Milliseconds(), 0), mathrand.Int64N(random)
	lastID.Lock()
	if lastID.ms-ms < backStep.Milliseconds() {
		ms = max(ms, lastID.ms)
	}
	if ms == lastID.ms {
		n = (lastID.n + 1 + n%1000) % random
	}
	lastID.ms, lastID.n = ms, n
	lastID.Unlock()
	id := make([]byte, idLength)
	digits(id[:8], ms)
	digits(id[8:], n)
	return string(id)
}

// digits writes a number with the alphabet's digits.
func digits(out []byte, n int64) {
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[n%int64(len(alphabet))]
		n /= int64(len(alphabet))
	}
}

// randomText returns n characters of the alphabet, each as likely as the others.
func randomText(n int) string {
	out := make([]byte, 0, n)
	for b := make([]byte, 2*n); len(out) < n; {
		rand.Read(b)
		for _, c := range b {
			if int(c) < 256-256%len(alphabet) && len(out) < n {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// canonicalID returns the upper-case form of a hold ID, and whether text is one.
func canonicalID(text string) (string, bool) {
	if len(text) != idLength {
		return "", false
	}
	id := strings.ToUpper(text)
	return id, strings.Trim(id, alphabet) == ""
}

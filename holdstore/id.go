package holdstore

import (
	"crypto/rand"
	"strings"
	"time"
)

// alphabet is that of hold IDs: without 0 and O, 1, I and L, which people confuse.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

const idLength = 13

var idEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newID makes a hold ID: 8 characters of milliseconds since 2026, so that IDs sort by time, and 5 random ones.
func newID(at time.Time) string {
	var id [8]byte
	ms := max(at.Sub(idEpoch).Milliseconds(), 0)
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = alphabet[ms%int64(len(alphabet))]
		ms /= int64(len(alphabet))
	}
	return string(id[:]) + randomText(idLength-len(id))
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

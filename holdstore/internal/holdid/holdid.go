// Package holdid makes the IDs of holds: 13 characters that people can type, in the order of time.
//
// Two gateways can make the same ID in the same millisecond (once in 28 million pairs); the store refuses the second,
// which gets another.
package holdid

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// alphabet is that of hold IDs: without 0 and O, 1, I and L, which people confuse.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// Length is how many characters an ID has.
const Length = 13

// epoch is when the milliseconds of IDs begin; 8 characters last until 2053.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// random is how many numbers the last 5 characters can say.
const random = 31 * 31 * 31 * 31 * 31

// last lets no two IDs of one process be the same.
var last struct {
	sync.Mutex
	ms, n int64
}

// backStep is how far behind the last ID's time another may be that still gets that time: whoever read the clock first
// may come second.
const backStep = time.Minute

// New makes an ID: 8 characters of milliseconds since 2026, so that IDs sort by time, and 5 random ones.
func New(at time.Time) string {
	ms, n := max(at.Sub(epoch).Milliseconds(), 0), mathrand.Int64N(random)
	last.Lock()
	if last.ms-ms < backStep.Milliseconds() {
		ms = max(ms, last.ms)
	}
	if ms == last.ms {
		n = (last.n + 1 + n%1000) % random
	}
	last.ms, last.n = ms, n
	last.Unlock()
	id := make([]byte, Length)
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

// Numbered is how many milliseconds have numbers that fit into 63 bits: until 2036.
const Numbered = 322_160_000_000

// Number is an ID as a decimal number, which Redis keeps in 8 bytes of a set. An ID that has none is returned as it is.
// Numbers are in the order of their IDs.
func Number(id string) string {
	if len(id) != Length || strings.Trim(id, alphabet) != "" {
		return id
	}
	ms := number(id[:8])
	if ms >= Numbered {
		return id
	}
	return strconv.FormatInt(ms*random+number(id[8:]), 10)
}

// OfNumber is the opposite of Number.
func OfNumber(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return text
	}
	id := make([]byte, Length)
	digits(id[:8], n/random)
	digits(id[8:], n%random)
	return string(id)
}

// number is the opposite of digits.
func number(text string) (n int64) {
	for i := range len(text) {
		n = n*int64(len(alphabet)) + int64(strings.IndexByte(alphabet, text[i]))
	}
	return n
}

// Time is the moment that an ID says.
func Time(id string) time.Time { return epoch.Add(time.Duration(number(id[:8])) * time.Millisecond) }

// Random returns n characters of the alphabet, each as likely as the others: for tokens.
func Random(n int) string {
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

// Parse returns the upper-case form of a hold ID, and whether text is one.
func Parse(text string) (string, bool) {
	if len(text) != Length {
		return "", false
	}
	id := strings.ToUpper(text)
	return id, strings.Trim(id, alphabet) == ""
}

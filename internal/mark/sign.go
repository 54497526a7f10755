package mark

import (
	"crypto/hmac"
	"strconv"
	"strings"
	"time"
)

// Purpose is what a signed text is for. Each has a key of its own, so that a text for one purpose serves no other.
type Purpose string

// Purposes of texts that leave the gateway, and come back as a proof.
const (
	Link    Purpose = "link"      // the page of one hold
	SignIn  Purpose = "sign-in"   // a mail that proves an address
	Attempt Purpose = "attempt"   // a sign-in at an identity provider that a browser has begun
	Session Purpose = "session"   // a browser that has signed in
	Token   Purpose = "web-token" // the record of an API token
	Outcome Purpose = "outcome"   // what an act on many messages has brought
)

// Sign returns a text with a proof behind it that only a gateway with the secret can make. ok is false while there is
// no secret.
func (m *Marker) Sign(p Purpose, of string) (signed string, ok bool) {
	k := m.keys.Load()
	if k == nil {
		return "", false
	}
	return of + "." + text(derived(k.secret, string(p)), TokenLen, of), true
}

// Signed returns the text that Sign has signed for the same purpose; ok is false for every other one.
func (m *Marker) Signed(p Purpose, signed string) (of string, ok bool) {
	n := strings.LastIndexByte(signed, '.')
	if n < 0 {
		return "", false
	}
	again, ok := m.Sign(p, signed[:n])
	return signed[:n], ok && hmac.Equal([]byte(again), []byte(signed))
}

// HoldLink returns the last part of a link to one hold, which is valid until a moment, in whole seconds.
func (m *Marker) HoldLink(hold string, until time.Time) (link string, ok bool) {
	return m.Sign(Link, hold+"."+strconv.FormatInt(until.Unix(), 36))
}

// ReadHoldLink returns the hold that a link is for; ok is false for one that was not made by HoldLink with the same
// secret, or that is not valid any more.
func (m *Marker) ReadHoldLink(link string, now time.Time) (hold string, ok bool) {
	signed, ok := m.Signed(Link, link)
	if !ok {
		return "", false
	}
	hold, end, _ := strings.Cut(signed, ".")
	until, err := strconv.ParseInt(end, 36, 64)
	return hold, err == nil && now.Unix() < until
}

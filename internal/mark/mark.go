// Package mark makes and checks the keyed mark by which a gateway knows its own mail.
//
// The mark stands in the id clause of the Received field that release adds (RFC 5321 section 4.4):
// "id HOLDID.MAC". Nobody without the secret can make one, and it is bound to the hold, its sender and its
// Message-ID, so that a copied mark vouches for nothing but the message that it came from.
package mark

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"sync/atomic"

	"github.com/recall-milter/recall-milter/internal/cancel"
)

// macLen is the length of the MAC in characters: 100 bits, more than anybody can guess, short enough for a header.
const macLen = 20

var alphabet = base32.NewEncoding("ABCDEFGHJKMNPQRSTUVWXYZ23456789a").WithPadding(base32.NoPadding)

// Marker holds the secret that all gateways of one store share. Safe for concurrent use.
type Marker struct{ secret atomic.Pointer[[]byte] }

// New returns a marker for a secret; any length will do, 32 bytes is usual.
func New(secret []byte) *Marker {
	m := &Marker{}
	m.Use(secret)
	return m
}

// Use sets the secret. A zero Marker, whose secret the store could not give yet, finds no mark genuine.
func (m *Marker) Use(secret []byte) { m.secret.Store(&secret) }

// Stamp returns "ID.MAC" for a message of ours: its hold ID, envelope sender (no angle brackets, "" is null)
// and Message-ID (with its angle brackets, "" when it has none).
func (m *Marker) Stamp(id, sender, messageID string) string {
	return id + "." + m.mac(id, sender, messageID)
}

// Genuine says whether stamp was made by Stamp for this sender and Message-ID with the same secret.
func (m *Marker) Genuine(stamp, sender, messageID string) bool {
	id, mac, ok := strings.Cut(stamp, ".")
	return ok && m.secret.Load() != nil && hmac.Equal([]byte(mac), []byte(m.mac(id, sender, messageID)))
}

// CancelKey returns the Cancel-Key of a message with this Message-ID (with its angle brackets); ok is false while there
// is no secret, and for a message without a Message-ID.
func (m *Marker) CancelKey(messageID string) (key cancel.Element, ok bool) {
	secret := m.secret.Load()
	if secret == nil || messageID == "" {
		return cancel.Element{}, false
	}
	return cancel.Key(*secret, messageID), true
}

// Token returns 26 characters that nobody without the secret can guess, always the same for the same texts.
func (m *Marker) Token(texts ...string) (token string, ok bool) {
	secret := m.secret.Load()
	if secret == nil {
		return "", false
	}
	h := hmac.New(sha256.New, *secret)
	for _, part := range append([]string{"recall-milter token"}, texts...) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return alphabet.EncodeToString(h.Sum(nil))[:TokenLen], true
}

// TokenLen is how many characters a token has: 130 bits.
const TokenLen = 26

// IsToken says whether a text could be a token.
func IsToken(text string) bool {
	return len(text) == TokenLen && strings.Trim(text, "ABCDEFGHJKMNPQRSTUVWXYZ23456789a") == ""
}

func (m *Marker) mac(id, sender, messageID string) string {
	h := hmac.New(sha256.New, *m.secret.Load())
	for _, part := range []string{"recall-milter mark", id, sender, messageID} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return alphabet.EncodeToString(h.Sum(nil))[:macLen]
}

// Package mark makes and checks what only a gateway with the secret can make: the keyed mark by which it knows its own
// mail, the keys to the locks of released messages, and the tokens that name its requests.
//
// The mark is the id clause of the Received field that release adds (RFC 5321 section 4.4): "id HOLDID.MAC". It is
// bound to the hold, to the body, to the fields by which the body is read, and to the subject. Address mapping, SRS and
// filters change envelope and header of a message that was released, and it must not be held again. So the envelope
// does not count, nor From, nor a tag in the subject; and a copied mark vouches for no other text.
//
// Each purpose has a key of its own, derived from the secret by HKDF (RFC 5869): nothing that is made for one of them
// serves as another.
package mark

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"sync/atomic"

	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
)

// macLen is the length of the MAC in characters: 100 bits, more than anybody can guess, short enough for a header.
const macLen = 20

var alphabet = base32.NewEncoding(characters).WithPadding(base32.NoPadding)

// Marker holds what is derived from the secret that all gateways of one store share. Safe for concurrent use.
type Marker struct{ keys atomic.Pointer[keys] }

// keys are derived from one secret.
type keys struct{ secret, mark, lock, token []byte }

// New returns a marker for a secret; any length will do, 32 bytes is usual.
func New(secret []byte) *Marker {
	m := &Marker{}
	m.Use(secret)
	return m
}

// Use sets the secret. A zero Marker, whose secret the store could not give yet, finds no mark genuine.
func (m *Marker) Use(secret []byte) {
	m.keys.Store(&keys{secret: bytes.Clone(secret), mark: derived(secret, "mark"), lock: derived(secret, "cancel-lock"),
		token: derived(secret, "token")})
}

func derived(secret []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "recall-milter "+purpose, sha256.Size)
	if err != nil { // only for a length that SHA-256 can't give
		panic(err)
	}
	return key
}

// Stamp returns "ID.MAC" for a message of ours: its hold ID, its Content, and the text of its subject.
func (m *Marker) Stamp(id string, content []byte, subject string) string {
	return m.stamp(id, content, strings.Fields(subject))
}

// Filters put a few words before a subject or behind it ("[EXTERNAL]", "*** SPAM ***"). Of a long one its beginning
// counts: with a tag before it, less of its end may have been kept.
const (
	tagWords     = 4
	subjectWords = 20
	subjectBytes = 300
)

func (m *Marker) stamp(id string, content []byte, subject []string) string {
	words := strings.Join(subject[:min(len(subject), subjectWords)], " ")
	return id + "." + text(m.keys.Load().mark, macLen, id, string(content), words[:min(len(words), subjectBytes)])
}

// Genuine says whether stamp was made by Stamp, with the same secret, for this content and this subject, or for a part
// of the subject that lacks a few words.
func (m *Marker) Genuine(stamp string, content []byte, subject string) bool {
	id, _, ok := strings.Cut(stamp, ".")
	if !ok || m.keys.Load() == nil {
		return false
	}
	words := strings.Fields(subject)
	for before := range min(len(words), tagWords) + 1 {
		for behind := range min(len(words), tagWords) - before + 1 {
			if hmac.Equal([]byte(stamp), []byte(m.stamp(id, content, words[before:len(words)-behind]))) {
				return true
			}
		}
	}
	return false
}

// IsStamp says by its form whether a text could be what Stamp returns.
func IsStamp(word string) bool {
	id, mac, ok := strings.Cut(word, ".")
	return ok && id != "" && len(mac) == macLen && strings.Trim(mac, characters) == ""
}

// characters are those of our alphabet.
const characters = "ABCDEFGHJKMNPQRSTUVWXYZ23456789a"

// CancelKey returns the Cancel-Key that proves to one recipient domain that a message came from here. It opens the lock
// of this hold for this domain, and nothing else: whoever is shown it learns no key to other mail, or to other copies
// of the same. ok is false while there is no secret, and for a message without a Message-ID (given with its angle
// brackets).
func (m *Marker) CancelKey(hold, domain, messageID string) (key cancel.Element, ok bool) {
	k := m.keys.Load()
	if k == nil || messageID == "" {
		return cancel.Element{}, false
	}
	return cancel.Key(k.lock, hold+"\n"+domain+"\n", messageID), true
}

// Token returns 26 characters that nobody without the secret can guess, always the same for the same texts.
func (m *Marker) Token(texts ...string) (token string, ok bool) {
	k := m.keys.Load()
	if k == nil {
		return "", false
	}
	return text(k.token, TokenLen, texts...), true
}

// TokenLen is how many characters a token has: 130 bits.
const TokenLen = 26

// IsToken says whether a text could be a token.
func IsToken(text string) bool { return len(text) == TokenLen && strings.Trim(text, characters) == "" }

// text is the beginning of a MAC over texts, each of which ends with NUL.
func text(key []byte, length int, texts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, part := range texts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return alphabet.EncodeToString(h.Sum(nil))[:length]
}

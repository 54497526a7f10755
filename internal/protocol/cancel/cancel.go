// Package cancel makes and checks Cancel-Lock and Cancel-Key (RFC 8315): the author's gateway locks a message with a
// hash, and whoever shows the key to it later proves to come from that gateway, over forwarders and lists.
//
// Failure rules: a field that isn't to the letter of the RFC opens nothing; schemes that are weak or unknown open
// nothing. A key is public once it has been sent: the caller sees to it that one key serves one recall.
package cancel

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Bounds of a field: RFC 8315 sets none. Each hop of a moderated message may add an element, so 32 is plenty.
const (
	maxField    = 8 << 10
	maxElements = 32
	maxNesting  = 8 // of comments
)

// Element is one "scheme:value" of a Cancel-Lock or Cancel-Key field.
type Element struct {
	Scheme string // in lower case: "sha256", "sha512", or one that we don't know
	Value  string // a lock in base64, or a key as text
}

// String returns the element as it stands in a field.
func (e Element) String() string { return e.Scheme + ":" + e.Value }

// Key returns the Cancel-Key element for a Message-ID (with its angle brackets): base64 of HMAC-SHA256 over uid and
// Message-ID (RFC 8315 section 4). uid says to whose message, and for whom, the key is; two messages of one ID but of
// different uid have different keys. A key must never leave the gateway before a recall does.
func Key(secret []byte, uid, messageID string) Element {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(uid + messageID))
	return Element{"sha256", base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// Lock returns the Cancel-Lock element that a key opens: the hash of the key as text. Its value is empty for a scheme
// that we don't know.
func Lock(key Element) Element {
	lock := Element{Scheme: key.Scheme}
	switch key.Scheme {
	case "sha256":
		sum := sha256.Sum256([]byte(key.Value))
		lock.Value = base64.StdEncoding.EncodeToString(sum[:])
	case "sha512":
		sum := sha512.Sum512([]byte(key.Value))
		lock.Value = base64.StdEncoding.EncodeToString(sum[:])
	}
	return lock
}

// Opens says whether any of the keys opens any of the locks. How long it takes doesn't depend on the values.
func Opens(keys, locks []Element) bool {
	opened := 0
	for _, key := range keys {
		made := Lock(key)
		for _, lock := range locks {
			if made.Value != "" && made.Scheme == lock.Scheme {
				opened |= subtle.ConstantTimeCompare([]byte(made.Value), []byte(lock.Value))
			}
		}
	}
	return opened == 1
}

// Parse reads the value of a Cancel-Lock or Cancel-Key field (RFC 8315 section 2): elements with white space or
// comments between them. One defect spoils the whole field.
func Parse(field string) ([]Element, error) {
	if len(field) > maxField {
		return nil, fmt.Errorf("the field has %d bytes, more than %d", len(field), maxField)
	}
	var elements []Element
	rest, err := skipBlanks(field)
	for err == nil && rest != "" {
		if len(elements) == maxElements {
			return nil, fmt.Errorf("the field has more than %d elements", maxElements)
		}
		end := strings.IndexAny(rest, " \t\r\n(")
		if end < 0 {
			end = len(rest)
		}
		var e Element
		if e, err = element(rest[:end]); err == nil {
			elements = append(elements, e)
			rest, err = skipBlanks(rest[end:])
		}
	}
	if err == nil && len(elements) == 0 {
		err = errors.New("the field is empty")
	}
	if err != nil {
		return nil, err
	}
	return elements, nil
}

// element reads "scheme:value"; the values of all registered schemes are base64.
func element(text string) (Element, error) {
	scheme, value, ok := strings.Cut(text, ":")
	const schemes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/"
	if !ok || scheme == "" || strings.Trim(scheme, schemes) != "" {
		return Element{}, errors.New("an element is not of the form scheme:value")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(value); err != nil || value == "" {
		return Element{}, errors.New("an element is not in base64")
	}
	return Element{strings.ToLower(scheme), value}, nil
}

// skipBlanks drops leading white space, folds and nested comments (CFWS of RFC 5322 section 3.2.2).
func skipBlanks(s string) (string, error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			if depth++; depth > maxNesting {
				return "", errors.New("comments are nested too deeply")
			}
		case depth == 0 && !strings.ContainsRune(" \t\r\n", rune(c)):
			return s[i:], nil
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			i++
		}
	}
	if depth > 0 {
		return "", errors.New("a comment doesn't end")
	}
	return "", nil
}

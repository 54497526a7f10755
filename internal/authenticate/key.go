package authenticate

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// verify checks the signature of a tag list over a text with the key that s= names at a domain.
func (q *query) verify(tag map[string]string, domain, text string) (keyRecord, error) {
	algorithm := holdstore.Fold(packed(tag["a"])) // in any case, as OpenDKIM reads it
	value, err := base64.StdEncoding.DecodeString(packed(tag["b"]))
	switch {
	case err != nil:
		return keyRecord{}, permanent("its value can't be read")
	case algorithm == "rsa-sha1": // RFC 8301 section 3.1
		return keyRecord{}, permanent("its algorithm is too weak")
	case algorithm != "rsa-sha256" && algorithm != "ed25519-sha256":
		return keyRecord{}, permanent("its algorithm is unknown")
	}
	key, err := q.key(packed(tag["s"])+"._domainkey."+domain, strings.TrimSuffix(algorithm, "-sha256"))
	if err != nil {
		return key, err
	}
	hash, ok := sha256.Sum256([]byte(text)), false
	switch k := key.public.(type) {
	case *rsa.PublicKey:
		if k.Size()*8 < minRSA {
			return key, permanent("its key is too short")
		}
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, hash[:], value) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, hash[:], value)
	}
	if !ok {
		return key, failed("it was changed, or the key is another")
	}
	return key, nil
}

// emptyPlaces are what people leave in a key record.
var emptyPlaces = lazyregexp.New(`;(\s*;)+`)

// keyIn finds the key in a record: other records, as of SPF, may have the same name.
var keyIn = lazyregexp.New(`(^|;)\s*p\s*=`)

// keyRecord is a key as DNS has it.
type keyRecord struct {
	public crypto.PublicKey
	exact  bool // t=s: i= must be of the very domain d=
}

// key asks for the key record at a name (RFC 6376 section 3.6.1).
func (q *query) key(name, kind string) (key keyRecord, err error) {
	records, err := q.txt(name)
	switch {
	case isTemporaryDNS(err):
		return key, temporary("its key can't be asked for now")
	case err != nil || len(records) == 0:
		return key, permanent("there is no key for it")
	}
	records = slices.DeleteFunc(slices.Clone(records), func(r string) bool { return !keyIn.MatchString(r) })
	if len(records) != 1 {
		return key, permanent(fmt.Sprintf("there are %d keys for it", len(records)))
	}
	tag, ok := tags(emptyPlaces.ReplaceAllString(records[0], ";"))
	if ok {
		tag["k"] = cmp.Or(holdstore.Fold(packed(tag["k"])), "rsa")
	}
	if !ok || tag["k"] != kind || tag["v"] != "" && tag["v"] != "DKIM1" ||
		!allows(tag, "h", "sha256") || !allows(tag, "s", "email", "*") {
		return key, permanent("its key record is for something else")
	}
	key.exact = slices.Contains(strings.Split(packed(tag["t"]), ":"), "s")
	key.public, err = publicKey(tag)
	return key, err
}

// allows says whether a tag, where it is there, lists one of the words.
func allows(tag map[string]string, name string, words ...string) bool {
	list, has := tag[name]
	return !has || slices.ContainsFunc(strings.Split(packed(list), ":"), func(w string) bool {
		return slices.Contains(words, holdstore.Fold(w))
	})
}

func publicKey(tag map[string]string) (crypto.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(packed(tag["p"]))
	switch {
	case err != nil || len(raw) == 0:
		return nil, permanent("its key is withdrawn or can't be read")
	case tag["k"] == "ed25519" && len(raw) == ed25519.PublicKeySize:
		return ed25519.PublicKey(raw), nil
	case tag["k"] != "rsa":
		return nil, permanent("its key is of an unknown kind")
	}
	if key, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKIXPublicKey(raw)
	if err != nil {
		return nil, permanent("its key can't be read: " + err.Error())
	}
	return key, nil
}

package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// With a seal key, the record of a hold proves itself: whoever writes to Redis can't change who gets a message, whose
// it is, or that it was recalled. Behind its JSON, field p has a line "KEY PROOF TICKET". PROOF is a MAC over the ID
// and all that stands before it but the moment: the envelope, the Message-ID, and where the content is. TICKET is a MAC
// that lets the message be released. A recall takes it away, and nobody without the key can make another one; a restore
// does. A recall for some recipients puts a ticket for the others into the field "may", "INDEXES KEY TICKET": those it
// is not for.

const proofSize = 16 // bytes of a MAC

// ErrUnproven says that the record of a hold was not made with one of our seal keys: nothing is sent on its account. It
// is ErrDamaged as well: nobody can tell the one from the other.
var ErrUnproven error = unproven{}

type unproven struct{}

func (unproven) Error() string {
	return "it is not sealed, and there is a seal key: somebody else may have put it there; " +
		"if it is older than the key, it can leave while seal.key_file is taken out"
}

func (unproven) Is(target error) bool { return target == ErrDamaged }

func macText(key []byte, texts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, text := range texts {
		mac.Write([]byte(strconv.Itoa(len(text)) + ":" + text))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:proofSize])
}

// Signed is a record with its proof and ticket, or as it is when nothing is sealed.
func (s *Sealer) Signed(id, record string) string {
	k := s.ring.Load().first
	if k == nil {
		return record
	}
	return fmt.Sprintf("%s\n%x %s %s", record, k.id, macText(k.proofs, id, record), macText(k.tickets, id, "", record))
}

// Proof is what field p says of itself.
type Proof struct {
	record string   // that it is about
	words  []string // KEY PROOF, and TICKET while nothing was recalled
}

// ProofOf reads the proof behind a record. The moment that begins it is not covered: Redis knows it only in the step
// that writes it.
func ProofOf(p string) Proof {
	p = strings.TrimLeft(p, "0123456789")
	numbers, rest, _ := strings.Cut(p, "\n")
	terms, line, _ := strings.Cut(rest, "\n")
	return Proof{numbers + "\n" + terms, strings.Fields(line)}
}

// keyNamed returns the key with an ID as it is written.
func (s *Sealer) keyNamed(name string) *sealKey {
	for id, k := range s.ring.Load().keys {
		if fmt.Sprintf("%x", id) == name {
			return k
		}
	}
	return nil
}

// Proven says whether a record is one of ours: nil, ErrUnproven, ErrNoKey, or ErrDamaged.
func (s *Sealer) Proven(id string, p Proof) error {
	switch {
	case s.ring.Load().first == nil && len(p.words) == 0:
		return nil
	case len(p.words) < 2:
		return ErrUnproven
	}
	k := s.keyNamed(p.words[0])
	switch {
	case k == nil:
		return fmt.Errorf("%w: add key %s to seal.key_file", ErrNoKey, clipped(p.words[0]))
	case !hmac.Equal([]byte(p.words[1]), []byte(macText(k.proofs, id, p.record))):
		return fmt.Errorf("%w: the seal of its record is broken", ErrDamaged)
	}
	return nil
}

func clipped(s string) string { return s[:min(len(s), 2*keyIDSize)] }

// Ticket makes the field "may" for a hold whose record is proven: it can be released to all but some recipients.
func (s *Sealer) Ticket(id string, p Proof, without []int) string {
	k := s.ring.Load().first
	if k == nil {
		return ""
	}
	slices.Sort(without)
	list := indexList(slices.Compact(without))
	return fmt.Sprintf("%s %x %s", list, k.id, macText(k.tickets, id, list, p.record))
}

func indexList(all []int) string {
	texts := []string{"-"} // no recipient; the field has no empty word
	for _, n := range all {
		texts = append(texts, strconv.Itoa(n))
	}
	return strings.Join(texts, ",")
}

// Without lists the recipients that a ticket is not for. An error: there is no ticket.
func (s *Sealer) Without(id string, p Proof, may string) (indexes []int, err error) {
	words, list := strings.Fields(may), ""
	switch {
	case len(words) == 3:
		list, words = words[0], words[1:]
	case len(words) == 0 && len(p.words) == 3:
		words = []string{p.words[0], p.words[2]}
	default:
		return nil, fmt.Errorf("%w: nothing lets it be released: it was recalled", ErrDamaged)
	}
	k := s.keyNamed(words[0])
	if k == nil {
		return nil, fmt.Errorf("%w: add key %s to seal.key_file", ErrNoKey, clipped(words[0]))
	}
	if !hmac.Equal([]byte(words[1]), []byte(macText(k.tickets, id, list, p.record))) {
		return nil, fmt.Errorf("%w: nothing genuine lets it be released", ErrDamaged)
	}
	for _, text := range strings.Split(list, ",")[1:] {
		n, _ := strconv.Atoi(text)
		indexes = append(indexes, n)
	}
	return indexes, nil
}

// ResultProof is a MAC that proves what became of recipient n of a hold; "" when nothing is sealed.
func (s *Sealer) ResultProof(id string, n int, outcome, detail string) string {
	k := s.ring.Load().first
	if k == nil {
		return ""
	}
	return fmt.Sprintf("%x %s", k.id, macText(k.results, id, strconv.Itoa(n), outcome, detail))
}

// ProvesResult says whether ResultProof has made a proof of the same, with any of our keys.
func (s *Sealer) ProvesResult(proof, id string, n int, outcome, detail string) bool {
	name, mac, _ := strings.Cut(proof, " ")
	k := s.keyNamed(name)
	return k != nil && hmac.Equal([]byte(mac), []byte(macText(k.results, id, strconv.Itoa(n), outcome, detail)))
}

// sealedSubject marks a subject in a record that is sealed; no header field has a NUL.
const sealedSubject = "\x00"

// WrapSubject makes of a subject what stands in the record of a hold, which outlives its content.
func (s *Sealer) WrapSubject(subject, id string) string {
	if s.ring.Load().first == nil || subject == "" {
		return subject
	}
	return sealedSubject + base64.StdEncoding.EncodeToString(s.Wrap([]byte(subject), Place{ID: id, Staging: "subject"}))
}

// IsSealedSubject says whether a subject is what WrapSubject makes with a key.
func IsSealedSubject(stored string) bool { return strings.HasPrefix(stored, sealedSubject) }

// UnwrapSubject is the opposite of WrapSubject; a subject whose key is missing is "".
func (s *Sealer) UnwrapSubject(stored, id string) string {
	text, ok := strings.CutPrefix(stored, sealedSubject)
	if !ok {
		return stored // the record proves it
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	subject, err := s.Unwrap(raw, Place{ID: id, Staging: "subject"})
	if err != nil {
		return ""
	}
	return string(subject)
}

// Fingerprint keeps the digest of a message from telling whoever reads the store what was sent.
func (s *Sealer) Fingerprint(digest []byte) []byte {
	first := s.ring.Load().first
	if first == nil {
		return digest
	}
	return derived(first.prints, string(digest))
}

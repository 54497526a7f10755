package holdstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// With a seal key, the record of a hold proves itself: whoever writes to Redis can't change who gets a message, whose it is,
// or that it was recalled. Behind its JSON, field p has a line "KEY PROOF TICKET". PROOF is a MAC over the ID and all that
// stands before it: the envelope, the Message-ID, and where the content is. TICKET is a MAC that lets the message be
// released. A recall takes it away, and nobody without the key can make another one; a restore does. A recall for some
// recipients puts a ticket for the others into the field "may", "INDEXES KEY TICKET": those it is not for.

const proofSize = 16 // bytes of a MAC

// ErrUnproven says that the record of a hold was not made with one of our seal keys: nothing is sent on its account. It is
// ErrDamaged as well: nobody can tell the one from the other.
var ErrUnproven error = unproven{}

type unproven struct{}

func (unproven) Error() string {
	return "it is not sealed, and there is a seal key: somebody else may have put it there; if it is older than the key, " +
		"it can leave while seal.key_file is taken out"
}

func (unproven) Is(target error) bool { return target == ErrDamaged }

func macText(key []byte, texts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, text := range texts {
		mac.Write([]byte(strconv.Itoa(len(text)) + ":" + text))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:proofSize])
}

// signed is a record with its proof and ticket, or as it is when nothing is sealed.
func (s *sealer) signed(id, record string) string {
	k := s.ring.Load().first
	if k == nil {
		return record
	}
	return fmt.Sprintf("%s\n%x %s %s", record, k.id, macText(k.proofs, id, record), macText(k.tickets, id, "", record))
}

// proof is what field p says of itself.
type proof struct {
	record string   // that it is about
	words  []string // KEY PROOF, and TICKET while nothing was recalled
}

func proofOf(p string) proof {
	numbers, rest, _ := strings.Cut(p, "\n")
	terms, line, _ := strings.Cut(rest, "\n")
	return proof{numbers + "\n" + terms, strings.Fields(line)}
}

// keyNamed returns the key with an ID as it is written.
func (s *sealer) keyNamed(name string) *sealKey {
	for id, k := range s.ring.Load().keys {
		if fmt.Sprintf("%x", id) == name {
			return k
		}
	}
	return nil
}

// proven says whether a record is one of ours: nil, ErrUnproven, ErrNoKey, or ErrDamaged.
func (s *sealer) proven(id string, p proof) error {
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

// may makes the field "may" for a hold whose record is proven: it can be released to all but some recipients.
func (s *sealer) may(id string, p proof, without []int) string {
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

// without lists the recipients that a ticket is not for. An error: there is no ticket.
func (s *sealer) without(id string, p proof, may string) (indexes []int, err error) {
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

// Proven says whether the record is one of ours: nil, or why nothing may be done on its account.
func (h *Hold) Proven() error { return h.doubt }

// permitted says whether a claimed hold may be released to the recipients that are pending.
func (s *Store) permitted(h *Hold, f map[string]string) error {
	if h.doubt != nil || s.seal.ring.Load().first == nil {
		return h.doubt
	}
	without, err := s.seal.without(h.ID, proofOf(f["p"]), f["may"])
	for _, n := range without {
		if n < len(h.Results) && h.Results[n].Outcome == Pending {
			err = fmt.Errorf("%w: recipient %d was recalled, and is pending again", ErrDamaged, n+1)
		}
	}
	return err
}

// mays makes tickets for holds that become held again, as JSON for a script; "" when nothing is sealed. Each is for all
// recipients but those that except(fields, hold) lists.
func (s *Store) mays(ctx context.Context, ids []string, except func(f map[string]string, h *Hold) []int) (string, error) {
	if s.seal.ring.Load().first == nil || len(ids) == 0 {
		return "", nil
	}
	pipe := s.redis.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for n, id := range ids {
		replies[n] = pipe.HGetAll(ctx, s.of(id).hold(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return "", explain(err)
	}
	mays := map[string]string{}
	for n, id := range ids {
		f := replies[n].Val()
		if len(f) == 0 {
			continue
		}
		h, err := s.parseHold(id, f)
		if err == nil {
			err = h.doubt
		}
		if err != nil {
			return "", fmt.Errorf("hold %s: %w", id, err)
		}
		mays[id] = s.seal.may(id, proofOf(f["p"]), except(f, h))
	}
	b, err := json.Marshal(mays)
	return string(b), err
}

// ticketing is the part of scripts that takes tickets away, and puts new ones there.
const ticketing = `
local function hasProof(id) return string.find(redis.call('HGET', P .. 'h:' .. id, 'p') or '', '\n[^\n]*\n') end
local function noTicket(id)
  local key = P .. 'h:' .. id
  local kept = string.match(redis.call('HGET', key, 'p') or '', '^([^\n]*\n[^\n]*\n%S+ %S+) %S+$')
  if kept then redis.call('HSET', key, 'p', kept) end
  redis.call('HDEL', key, 'may')
end
local function ticket(id, mays)
  local may = mays and mays ~= '' and cjson.decode(mays)[id]
  if may then set(id, 'may', may) end
end
`

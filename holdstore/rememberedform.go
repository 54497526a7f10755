package holdstore

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// What is remembered of a message is as short as it can be, since there is one for every message that comes in: numbers
// as varints, texts behind their length, addresses and digests as bytes. The recipients' digests go to its end.
//
// A message's name is the digest of its Message-ID and that of its sender, as bytes. It is in hash in:m:NUMBER, under
// its name with the slot of its transaction behind, where NUMBER is that of the name: several share a hash, and the
// cost of its key. Where its sender and subject are looked for, in set in:t:NUMBER, it is the digest of these, its
// origin, and the digest of its Message-ID; there, NUMBER is that of the first digest.
const (
	slotLen  = 2             // characters of base64: at most 4096 transactions of one message
	nameLen  = 2 * digestLen // bytes
	entryLen = nameLen + slotLen + digestLen

	// receivedBuckets is how many such hashes and sets the whole store has. With the most that is remembered, 195
	// messages share one, which Redis keeps in one piece up to zset-max-listpack-entries, 256 in the packages.
	receivedBuckets = 5 << 10
)

// receivedName is the name of a message.
func receivedName(messageID, from string) string {
	return string(rawDigest(digest(messageID))) + string(rawDigest(digest(from)))
}

// receivedParts is in how many parts each shard has what came in, and receivedPart the part of a name or digest.
func (s *Store) receivedParts() int { return receivedBuckets / len(s.nodes.Shards) }

func (s *Store) receivedPart(name string) int {
	return int(binary.BigEndian.Uint16([]byte(name))) % s.receivedParts()
}

// Flags of a way.
const (
	wayAligned = 1 << iota
	wayShared
)

// packReceived makes of a message what is stored until it ends: the recipients are digests already, and From is in its
// name.
func packReceived(r Remembered, ends time.Time) []byte {
	b := binary.AppendUvarint(nil, uint64(r.At.UnixMilli()))
	// Rounded up, and less than nothing where the clock of whoever says when it came is far ahead.
	b = binary.AppendVarint(b, (ends.Unix()-r.At.Unix()+endStep)/endStep)
	b = appendText(b, r.delivered)
	b = appendText(b, []byte(r.MessageID))
	b = appendText(b, []byte(r.Lock))
	b = appendSent(b, r)
	// The last subject is the one by which it is found.
	forms := r.Subjects[:max(0, len(r.Subjects)-1)]
	b = binary.AppendUvarint(b, uint64(len(forms)))
	for _, form := range forms {
		b = append(b, rawDigest(form)...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Ways)))
	for _, w := range r.Ways {
		client := []byte{}
		if a, err := netip.ParseAddr(w.Client); err == nil {
			client = a.Unmap().WithZone("").AsSlice()
		}
		b = appendText(b, client)
		b = appendText(b, []byte(w.Domain))
		b = append(b, map[bool]byte{true: wayAligned}[w.Aligned]|map[bool]byte{true: wayShared}[w.Shared])
	}
	for _, to := range r.Recipients {
		b = append(b, rawDigest(to)...)
	}
	return b
}

// appendSent appends when a message was sent, as seconds before it came; 0: it says none.
func appendSent(b []byte, r Remembered) []byte {
	if r.Sent.Unix() <= 0 {
		return binary.AppendVarint(b, 0)
	}
	before := r.At.Unix() - r.Sent.Unix()
	if before >= 0 {
		before++ // 0 is taken
	}
	return binary.AppendVarint(b, before)
}

// sent reads what appendSent wrote.
func (p *packed) sent(at time.Time) time.Time {
	before := p.signed()
	if before == 0 {
		return time.Time{}
	}
	if before > 0 {
		before--
	}
	return time.Unix(at.Unix()-before, 0).UTC()
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func rawDigest(text string) []byte {
	raw, _ := base64.RawStdEncoding.DecodeString(text)
	return raw
}

// endStep is how exactly it is kept when a message ends.
const endStep = 60 // seconds

// unpackReceived is the opposite, with those recipients only whose digests keep lets stay; false: it is something else,
// or has ended.
func unpackReceived(stored string, keep func(raw string) bool) (r Remembered, ok bool) {
	p := packed{rest: stored}
	r.At = time.UnixMilli(int64(p.number())).UTC()
	if p.ended(r.At) {
		return r, false
	}
	p.text() // deliveredOf reads it
	r.MessageID = p.text()
	r.Lock = p.text()
	r.Sent = p.sent(r.At)
	for n := p.number(); n > 0 && !p.broken; n-- {
		r.Subjects = append(r.Subjects, base64.RawStdEncoding.EncodeToString([]byte(p.bytes(digestLen))))
	}
	for n := p.number(); n > 0 && !p.broken; n-- {
		var w Way
		if a, ok := netip.AddrFromSlice([]byte(p.text())); ok {
			w.Client = a.String()
		}
		w.Domain = p.text()
		if flags := p.bytes(1); flags != "" {
			w.Aligned, w.Shared = flags[0]&wayAligned != 0, flags[0]&wayShared != 0
		}
		r.Ways = append(r.Ways, w)
	}
	for len(p.rest) > 0 && !p.broken {
		if raw := p.bytes(digestLen); keep(raw) {
			r.Recipients = append(r.Recipients, base64.RawStdEncoding.EncodeToString([]byte(raw)))
		}
	}
	return r, !p.broken
}

// deliveredOf is what is stored of a message for claw backs; empty: nothing.
func deliveredOf(stored string) string {
	p := packed{rest: stored}
	if p.ended(time.UnixMilli(int64(p.number()))) {
		return ""
	}
	return p.text()
}

// ended reads for how long a message that came at a moment is kept, and says whether it has ended: the reaper takes its
// time.
func (p *packed) ended(at time.Time) bool {
	return time.Now().Unix() > at.Unix()+p.signed()*endStep
}

// packed reads what packReceived wrote.
type packed struct {
	rest   string
	broken bool
}

func (p *packed) number() uint64 {
	n, size := binary.Uvarint([]byte(p.rest[:min(len(p.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		p.broken = true
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

// signed reads a number that may be less than nothing.
func (p *packed) signed() int64 {
	n := p.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (p *packed) text() string { return p.bytes(p.number()) }

func (p *packed) bytes(n uint64) string {
	if n > uint64(len(p.rest)) {
		p.broken = true
		return ""
	}
	text := p.rest[:n]
	p.rest = p.rest[n:]
	return text
}

// Bounds of what is remembered of a message.
const (
	MaxRemembered = 1000 // recipients of one transaction
	MaxNamed      = 500  // bytes of a Message-ID; no recall names a longer one
)

// Remembered is what is remembered of a message that came in, so that a recall can mean it. From, the recipients and
// the subject are kept as hashes only: they are compared, and need not be readable, except for claw backs (Delivered).
type Remembered struct {
	MessageID  string    // at most MaxNamed bytes
	From       string    // address
	Recipients []string  // addresses; at most MaxRemembered are kept
	Subjects   []string  // the subject, and what is left behind each reply word; the last is bare
	Sent       time.Time // its Date; zero: none
	Lock       string    // the value of its Cancel-Lock field; at most maxLock bytes
	Ways       []Way     // one for each transaction
	At         time.Time

	Delivered *Delivered // nil: none of the recipients' mailboxes can be reached
	delivered []byte     // the same as it is stored
}

// Way is how a message came in. Anybody can type a sender, so it tells which of several messages is the sender's own.
type Way struct {
	Client  string // IP address
	Domain  string // of the envelope sender
	Aligned bool   // an earlier milter that is believed found it aligned with From
	Shared  bool   // From is the address of a mailing list, under which all its members write
}

// Delivered is a message that came in, as far as a claw back needs it: who got it, and what tells it from another
// message with the same Message-ID. It is kept readable, sealed where there is a key.
type Delivered struct {
	MessageID  string    `json:"m"`
	Author     string    `json:"f"`           // the address in From
	Sender     string    `json:"e,omitempty"` // of the envelope
	Subject    string    `json:"s,omitempty"` // decoded
	Header     string    `json:"h"`           // digest of the fields that tell its content
	Body       string    `json:"b,omitempty"` // digest of the beginning of its body
	Recipients []string  `json:"r"`           // those whose mailboxes can be reached; at most MaxRemembered
	At         time.Time `json:"t"`
}

// packDelivered is what is stored of it under a name.
func (s *Store) packDelivered(name string, d *Delivered) []byte {
	if d == nil || len(d.Recipients) == 0 {
		return nil
	}
	short := *d
	short.Recipients = d.Recipients[:min(len(d.Recipients), MaxRemembered)]
	data, err := json.Marshal(short)
	if err != nil { // it has texts and a moment only
		return nil
	}
	return s.seal.Wrap(data, deliveredPlace(name))
}

// deliveredPlace is what it is sealed for: nobody who writes to Redis makes of it what is known of another message.
func deliveredPlace(name string) seal.Place {
	return seal.Place{ID: name, Staging: "delivered", Last: true}
}

// content tells one content from another, as far as it is known.
func (d *Delivered) content() string {
	if d == nil {
		return ""
	}
	return d.Header + d.Body
}

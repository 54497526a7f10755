package holdstore

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"time"
)

// What is remembered of a message is as short as it can be, since there is one for every message that comes in: numbers
// as varints, texts behind their length, addresses and digests as bytes. The recipients' digests go to its end.

// Flags of a way.
const (
	wayAligned = 1 << iota
	wayShared
)

// packReceived makes of a message what is stored: From and the recipients are digests already.
func packReceived(r Remembered) []byte {
	b := binary.AppendUvarint(nil, uint64(r.At.UnixMilli()))
	b = appendText(b, r.delivered)
	b = appendText(b, []byte(r.MessageID))
	b = appendText(b, rawDigest(r.From))
	b = appendText(b, []byte(r.Lock))
	b = binary.AppendUvarint(b, uint64(max(0, r.Sent.Unix()))) // 0: none
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

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func rawDigest(text string) []byte {
	raw, _ := base64.RawStdEncoding.DecodeString(text)
	return raw
}

// unpackReceived is the opposite, with those recipients only whose digests keep lets stay; false: it is something else.
func unpackReceived(stored string, keep func(raw string) bool) (r Remembered, ok bool) {
	p := packed{rest: stored}
	r.At = time.UnixMilli(int64(p.number())).UTC()
	p.text() // deliveredOf reads it
	r.MessageID = p.text()
	r.From = base64.RawStdEncoding.EncodeToString([]byte(p.text()))
	r.Lock = p.text()
	if sent := p.number(); sent > 0 {
		r.Sent = time.Unix(int64(sent), 0).UTC()
	}
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
	p.number()
	return p.text()
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

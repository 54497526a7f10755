package holdstore

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
)

// Most records are of messages that all recipients got at the first attempt. They are what makes a store large, so what
// scripts don't need of such a record is packed into its field x: numbers as varints, texts behind their lengths, and
// then compressed with a dictionary of what most records have. It begins with the moment of the release (ms) and a
// blank. Field p keeps its first line. What happens to the message later, such as a recall request, is written into
// fields of their own, as it is for any other record, and counts over what is packed.

// packedMost is how large a record is that is packed: others are few.
const packedMost = 4 << 10

// packing is made at the first use: most commands of recallctl need it, but not all.
var packing = sync.OnceValue(func() *s2.Dict {
	return s2.MakeDict([]byte("\x07TLSv1.2\x05LOGINORCPT=rfc822;NOTIFY=SUCCESS,FAILURENOTIFY=NEVERRET=HDRSENVID=SMTPUTF8"+
		"@gmail.com>@outlook.com>.co.uk.example.net.org250 2.0.0 from MTA(smtp:[127.0.0.1]:10026): 250 2.0.0 Ok: queued "+
		"as every recipient is settled250 2.0.0 Message accepted for deliveryMon, Tue, Wed, Thu, Fri, Sat, Sun, Jan Feb "+
		"Mar Apr May Jun Jul Aug Sep Oct Nov Dec 2027 +0200 -0500\x07unknown\x07unknown[192.168.1.Re: Fwd: AW: WG: @mail"+
		".com>\x05en_US\x06PLAIN\x1fSat, 28 Nov 2026 00:00:00 +0000\x1fSat, 28 Nov 2026 00:00:00 +0100\x02\x09SIZE="+
		"\x0dBODY=8BITMIME\x05PLAIN\x07TLSv1.3\x0asubmission\x05smtps\x05smtpd\x07default$250 2.0.0 Ok: queued as 4"), nil)
})

// pack makes field x of what an attempt settles, without its moment; nil when it is to be kept as it is. fields is the
// hash as it was claimed.
func (s *Store) pack(c *Claim, st Settlement) []byte {
	p := c.fields["p"]
	if st.RetryIn > 0 || st.Defect != "" || len(p) > packedMost || len(st.Detail) > maxLine {
		return nil
	}
	if c.fields["tl"] != "" || c.fields["np"] != "" { // something happened to it before
		return nil
	}
	for n := range c.Results {
		if r, now := st.Results[n]; !now || r.Outcome != Sent || r.Reported || c.Results[n].Outcome != Pending {
			return nil
		}
	}
	b := s.packTerms(c)
	if b == nil {
		return nil
	}
	for _, name := range []string{"attempts", "late"} {
		n, _ := strconv.ParseUint(c.fields[name], 10, 64)
		b = binary.AppendUvarint(b, n)
	}
	b = appendText(b, []byte(st.Detail))
	results := s.resultsOf(c.ID, st.Results)
	at, detail := c.HeldAt.UnixMilli(), st.Detail
	for n := range c.Results {
		r := results[n]
		b = appendAgain(binary.AppendVarint(b, r.At-at), r.Detail, detail)
		b = appendText(b, []byte(r.Proof))
		at, detail = r.At, r.Detail
	}
	if len(b) > 2*packedMost {
		return nil
	}
	return packing().Encode(nil, b)
}

// appendAgain appends a text that often is the one before it: one more than its length and the text, or 0.
func appendAgain(b []byte, text, before string) []byte {
	if text == before {
		return binary.AppendUvarint(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(text)+1)), text...)
}

// again reads what appendAgain wrote.
func (p *packed) again(before string) string {
	if n := p.number(); n > 0 {
		return p.bytes(n - 1)
	}
	return before
}

// texts are those that a record has once, in the order in which they are packed.
func (t *storedTerms) texts() []*string {
	return []*string{&t.Login, &t.Sender.Address, &t.MessageID, &t.QueueID, &t.Subject, &t.Author, &t.Date, &t.Client.Name,
		&t.Client.PTR, &t.Client.HELO, &t.AuthType, &t.TLS, &t.Daemon, &t.Gateway, &t.Rule}
}

// packTerms packs what stands in field p behind its first line. Where it is proven, it must be the same text again when
// it is read; nil: it would not be.
func (s *Store) packTerms(c *Claim) []byte {
	t := storedTerms{Submission: armour(c.Submission), Rule: c.Rule, Fixed: c.Fixed, EightBit: c.EightBit}
	_, rest, _ := strings.Cut(c.fields["p"], "\n")
	text, proof, proven := strings.Cut(rest, "\n")
	if !proven {
		return t.pack("")
	}
	if t = (storedTerms{}); json.Unmarshal([]byte(text), &t) != nil { // with its subject sealed
		return nil
	}
	b := t.pack(proof)
	if again, ok := (&packed{rest: string(b)}).terms(len(t.Recipients)); !ok || again != rest {
		return nil
	}
	return b
}

// Flags of a packed record.
const (
	packedWide = 1 << iota
	packedFixed
)

// pack packs a record's terms with their proof.
func (t *storedTerms) pack(proof string) []byte {
	var b []byte
	for _, text := range t.texts() {
		b = appendText(b, []byte(*text))
	}
	client := t.Client.Address
	if a, err := netip.ParseAddr(client); err == nil && a.String() == client && a.Zone() == "" {
		client = string(a.AsSlice())
	}
	b = appendText(b, []byte(client))
	flags := map[bool]uint64{true: packedWide}[t.EightBit] | map[bool]uint64{true: packedFixed}[t.Fixed]
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(max(t.Client.Port, 0))), flags)
	for _, path := range append([]Path{t.Sender}, t.Recipients...) {
		b = appendText(b, []byte(path.Address))
		b = binary.AppendUvarint(b, uint64(len(path.Args)))
		for _, arg := range path.Args {
			b = appendText(b, []byte(arg))
		}
	}
	return appendText(b, []byte(proof))
}

// terms reads what storedTerms.pack wrote of a message to so many recipients, as field p has it.
func (p *packed) terms(recipients int) (rest string, ok bool) {
	var t storedTerms
	for _, text := range t.texts() {
		*text = p.text()
	}
	t.Client.Address = p.text()
	if a, ok := netip.AddrFromSlice([]byte(t.Client.Address)); ok {
		t.Client.Address = a.String()
	}
	t.Client.Port = int(p.number())
	flags := p.number()
	t.EightBit, t.Fixed = flags&packedWide != 0, flags&packedFixed != 0
	for n := range 1 + recipients {
		path := Path{Address: p.text()}
		for count := p.number(); count > 0 && !p.broken; count-- {
			path.Args = append(path.Args, p.text())
		}
		if n == 0 {
			t.Sender = path
		} else {
			t.Recipients = append(t.Recipients, path)
		}
	}
	proof := p.text()
	b, err := json.Marshal(t)
	if rest = string(b); proof != "" {
		rest += "\n" + proof
	}
	return rest, err == nil && !p.broken
}

// unpackX gives the hash of a record that is packed the fields of one that is not; any other is returned as it is.
func unpackX(f map[string]string) map[string]string {
	at, text, ok := strings.Cut(f["x"], " ")
	numbers, _, _ := strings.Cut(f["p"], "\n")
	words := strings.Fields(numbers)
	if !ok || len(words) < 6 {
		return f
	}
	size, err := s2.DecodedLen([]byte(text))
	recipients, wrong := strconv.Atoi(words[3])
	if err != nil || wrong != nil || size > 2*packedMost || recipients > packedMost {
		return f
	}
	raw, err := packing().Decode(nil, []byte(text))
	if err != nil {
		return f
	}
	p := &packed{rest: string(raw)}
	rest, _ := p.terms(recipients)
	all := map[string]string{"attempts": strconv.FormatUint(p.number(), 10),
		"late": strconv.FormatUint(p.number(), 10)}
	detail := p.text()
	released := at + " " + eventLine(Event{Verb: string(Released), Detail: detail}) + "\n"
	results := make(map[string]string, recipients)
	moment, _ := strconv.ParseInt(words[0], 10, 64)
	for n := range recipients {
		moment += p.signed()
		detail = p.again(detail)
		r := storedResult{Outcome: Sent, At: moment, Detail: detail, Proof: p.text()}
		name := "r" + strconv.Itoa(n)
		results[name] = later(r, f[name])
	}
	if p.broken {
		return f
	}
	maps.Copy(all, f)
	maps.Copy(all, results)
	all["p"], all["tl"] = numbers+"\n"+rest, released+f["tl"]
	return all
}

// later is a packed result as JSON, or what was written later in its place; a script that notes that a gateway is asked
// does not know what is packed.
func later(r storedResult, written string) string {
	var now storedResult
	switch err := json.Unmarshal([]byte(written), &now); {
	case written == "":
		now = r
	case err != nil || now.Outcome != Requested || now.Detail != "":
		return written
	default:
		now.Detail, now.Proof = r.Detail, r.Proof
	}
	b, _ := json.Marshal(now)
	return string(b)
}

package holdstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// stamp is the opposite of moment.
func stamp(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// eventLine is a timeline line without its moment, which the script puts before it.
func eventLine(e Event) string {
	b, _ := json.Marshal(struct {
		Verb   string `json:"verb"`
		By     string `json:"by,omitempty"`
		Detail string `json:"detail,omitempty"`
	}{e.Verb, e.By, e.Detail})
	return string(b)
}

// The hash of a hold has one field at first, so that making it is one write. What comes later are fields of their own.
//
//	p          what never changes: "HELD_AT GRACE SIZE RECIPIENTS NONCE PIECES ENTRIES..." (ms, ms, bytes, index
//	           entries), then a line with the JSON below, then with a seal key the line "KEY PROOF TICKET"
//	state      held (or no field), releasing, released, recalled
//	due        ms, when it is not HELD_AT + GRACE
//	tok        token of the lease
//	attempts   how many releases were tried; late: by how many ms the first was
//	np         how many recipients are pending, when it is not all
//	rN         result of recipient N, as JSON: o outcome, d detail, t moment (ms), b the sender was told, c a release
//	           was cut off before the recall, s digests of the answers that were noted, k with a seal key the proof
//	           that a gateway wrote outcome and detail
//	tl         the timeline, "MS JSON" a line: verb, by, detail, k the proof of what its sender is told of
//	may        the ticket for those whom a partial recall left, "INDEXES KEY TICKET"
//	cut        a lease ended: what the port took of it is not known
//	stopped    an operator has recalled it, or a part of it
//	relied     a retry was told of this hold: its own fence may not delete it
//	replaced   IDs of holds that it took back; by: "ID DUE RECIPIENTS...", which hold took this one back
//	x          of a record that is packed, in place of all but p's first line, state and o: see packed.go. On a shelf
//	           it has all of this in another form: see shelf.go
//	o          who is charged for it: "OWNER BYTES RECORD-BYTES"; "-" for BYTES once nothing of its content waits
//	defects    how many attempts a defect of ours ended; parked: the first line of the last one
//
// Letters of the JSON in p: of the submission q queue ID, m Message-ID, u subject, f author, dt Date, s sender, r
// recipients, c client, l login, at authentication, t TLS, d daemon, g gateway; ru rule, fx fixed, 8 eight-bit. Of a
// path: a address, x arguments. Of a client: a address, p port, n name, r PTR, h HELO.
//
// Letters of a request (rq:ID, and the job that sends it): q its ID, h hold, d domain, r recipients, y reason, k no
// key.
//
// Fields of a job (j:ID): kind, data, since, attempts, tok, done, ended, gather, defects, parked.

// storedTerms is the JSON in p.
type storedTerms struct {
	Submission
	Rule     string `json:"ru,omitempty"`
	Fixed    bool   `json:"fx,omitempty"`
	EightBit bool   `json:"8,omitempty"`
}

// firstRecord is p, but for the moment, in milliseconds, that begins it.
func firstRecord(grace time.Duration, size int64, nonce string, chunks int, entries []string, t storedTerms) string {
	b, _ := json.Marshal(t)
	return fmt.Sprintf(" %d %d %d %s %d %s\n%s", grace.Milliseconds(), size, len(t.Recipients), nonce, chunks,
		strings.Join(entries, " "), b)
}

// unpacked gives the hash of a hold a field for each part of p, unless they came later.
func unpacked(f map[string]string) map[string]string {
	f = unpackX(f)
	numbers, terms, ok := strings.Cut(f["p"], "\n")
	words := strings.Fields(numbers)
	if !ok || len(words) < 6 {
		return f
	}
	held, _ := strconv.ParseInt(words[0], 10, 64)
	grace, _ := strconv.ParseInt(words[1], 10, 64)
	all := map[string]string{"state": string(Held), "due": strconv.FormatInt(held+grace, 10)}
	maps.Copy(all, f)
	for n, name := range []string{"held_at", "grace", "size", "nrcpt", "nonce", "chunks"} {
		all[name] = words[n]
	}
	all["meta"], _, _ = strings.Cut(terms, "\n") // what is behind it is its proof
	return all
}

// parseHold reads the hash of a hold.
func (s *Store) parseHold(id string, f map[string]string) (*Hold, error) {
	f = unpacked(f)
	h := &Hold{
		ID: id, State: State(f["state"]), HeldAt: moment(f["held_at"]), Due: moment(f["due"]), staging: f["nonce"],
	}
	h.doubt = s.seal.Proven(id, seal.ProofOf(f["p"]))
	var t storedTerms
	if err := json.Unmarshal([]byte(f["meta"]), &t); err != nil {
		return nil, fmt.Errorf("hold %s: %w: its record can't be read: %w", id, ErrDamaged, err)
	}
	h.Submission = disarmed(t.Submission)
	h.Subject = s.subject(h)
	h.Rule, h.Fixed = t.Rule, t.Fixed
	h.EightBit = t.EightBit
	grace, _ := strconv.ParseInt(f["grace"], 10, 64)
	h.Grace = time.Duration(grace) * time.Millisecond
	h.Size, _ = strconv.ParseInt(f["size"], 10, 64)
	h.Attempts, _ = strconv.Atoi(f["attempts"])
	h.chunks, _ = strconv.Atoi(f["chunks"])
	s.readResults(h, f)
	h.Stopped = f["stopped"] != ""
	h.Timeline = append([]Event{{At: h.HeldAt, Verb: "held", Detail: h.Rule}}, s.events(id, f["tl"])...)
	return h, nil
}

// newsLine is an eventLine with the proof that a gateway wrote it.
func (s *Store) newsLine(id string, e Event) string {
	proof := s.newsProof(id, e)
	if proof == "" {
		proof = unsealedNews
	}
	return strings.TrimSuffix(eventLine(e), "}") + fmt.Sprintf(`,"k":%q}`, proof)
}

// unsealedNews is in place of a proof where nothing is sealed.
const unsealedNews = "news"

// newsIndex stands where the proof of a result has a recipient's index.
const newsIndex = -1

func (s *Store) newsProof(id string, e Event) string {
	return s.seal.ResultProof(id, newsIndex, e.Verb, e.By+"\n"+e.Detail)
}

// events reads the field tl.
func (s *Store) events(id, tl string) (all []Event) {
	for line := range strings.Lines(tl) {
		ms, text, _ := strings.Cut(line, " ")
		var stored struct {
			Event
			Proof string `json:"k"`
		}
		if json.Unmarshal([]byte(text), &stored) != nil {
			continue
		}
		e := stored.Event
		e.At = moment(ms)
		e.News = stored.Proof != "" && (!s.seal.Seals() ||
			s.seal.ProvesResult(stored.Proof, id, newsIndex, e.Verb, e.By+"\n"+e.Detail))
		all = append(all, e)
	}
	return all
}

// JSON would replace bytes that are no UTF-8, and an envelope must come back byte for byte. Such a string is kept
// as one rune a byte behind a NUL, which no SMTP argument can hold.
func armourText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := []rune{0}
	for _, b := range []byte(s) {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

func disarmText(s string) string {
	text, ok := strings.CutPrefix(s, "\x00")
	if !ok {
		return s
	}
	var b []byte
	for _, r := range text {
		b = append(b, byte(r))
	}
	return string(b)
}

func armour(s Submission) Submission   { return mapTexts(s, armourText) }
func disarmed(s Submission) Submission { return mapTexts(s, disarmText) }

// mapTexts returns a copy of the submission with f applied to the texts that came from the network as bytes.
func mapTexts(s Submission, f func(string) string) Submission {
	path := func(p Path) Path {
		q := Path{Address: f(p.Address)}
		for _, a := range p.Args {
			q.Args = append(q.Args, f(a))
		}
		return q
	}
	s.Sender = path(s.Sender)
	var recipients []Path
	for _, r := range s.Recipients {
		recipients = append(recipients, path(r))
	}
	s.Recipients = recipients
	for _, t := range []*string{&s.Login, &s.MessageID, &s.QueueID, &s.Client.Name, &s.Client.PTR, &s.Client.HELO} {
		*t = f(*t)
	}
	return s
}

const (
	maxLine    = 2000 // bytes of a line in timeline and trail that names addresses or answers
	moreFollow = " ..."
)

// cut shortens a text to so many bytes, and says that it did.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(moreFollow)], "") + moreFollow
}

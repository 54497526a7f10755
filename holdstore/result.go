package holdstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// With a seal key the results of recipients prove themselves, so that whoever writes to Redis can't have a sender told
// what never happened, nor put a text into the gateway's mails. What a gateway writes has a MAC. That a recipient's
// copy was taken back is proven by the ticket, which a recall takes away. What nothing proves is read as what is left:
// still to be sent, or sent and nothing known.

// noAnswer is the detail of a recipient whose gateway was asked and kept silent.
const noAnswer = "no answer from its gateway"

// subject is the subject of a hold as people read it. What nothing proves is not decrypted: whoever wrote it may have
// written another sender to it, who would be told.
func (s *Store) subject(h *Hold) string {
	if h.doubt != nil && seal.IsSealedSubject(h.Subject) {
		return ""
	}
	return s.seal.UnwrapSubject(h.Subject, h.ID)
}

// readResults reads the fields rN of a hold, and believes of them what is proven.
func (s *Store) readResults(h *Hold, f map[string]string) {
	lets := sync.OnceValue(func() func(n int) bool { return s.letting(h, f) })
	if h.State == Recalled && lets() != nil {
		h.State = Held // somebody wrote that; a recall would have taken the ticket away
	}
	for n := range h.Recipients {
		r := storedResult{Outcome: Pending}
		if text, ok := f["r"+strconv.Itoa(n)]; ok {
			if err := json.Unmarshal([]byte(text), &r); (err != nil || !knownOutcomes[r.Outcome]) && !s.seal.Seals() {
				h.misread = fmt.Errorf("%w: result %d can't be read", ErrDamaged, n)
				r = storedResult{Outcome: Unknown, Detail: "what is stored of it can't be read"}
			}
		}
		if s.seal.Seals() && !s.seal.ProvesResult(r.Proof, h.ID, n, string(proven(r.Outcome)), r.Detail) {
			r = believed(r, h.State, func() bool { return lets() != nil && lets()(n) })
		}
		if r.CutOff {
			r.Detail = cutOffDetail
		}
		h.Results = append(h.Results, Result{Outcome: r.Outcome, Detail: r.Detail,
			At: moment(strconv.FormatInt(r.At, 10)), Reported: r.Reported, CutOff: r.CutOff})
	}
}

// letting returns the function that says for whom the ticket of a hold is; nil: it has none, or nothing is sealed.
func (s *Store) letting(h *Hold, f map[string]string) func(n int) bool {
	if h.doubt != nil || !s.seal.Seals() {
		return nil
	}
	without, err := s.seal.Without(h.ID, seal.ProofOf(f["p"]), f["may"])
	if err != nil {
		return nil
	}
	out := map[int]bool{}
	for _, n := range without {
		out[n] = true
	}
	return func(n int) bool { return !out[n] }
}

// proven is the outcome that a gateway wrote: a script makes "requested" of "sent".
func proven(o Outcome) Outcome {
	if o == Requested {
		return Sent
	}
	return o
}

// believed is a result that has no proof of its own, as far as it can be true. lets says whether there is a ticket for
// the recipient.
func believed(r storedResult, state State, lets func() bool) storedResult {
	r.Detail = ""
	back := r.Outcome == TakenBack || r.CutOff
	switch {
	case back && !lets(), r.Outcome == Sent, r.Outcome == Requested, r.Outcome == Pending:
	case state == Held || state == Releasing:
		return storedResult{Outcome: Pending}
	default:
		r.Outcome, r.Detail, r.CutOff = Unknown, noAnswer, false
	}
	return r
}

// storedResult is a Result as the scripts read and write it: its moment in milliseconds.
type storedResult struct {
	Outcome  Outcome `json:"o"`
	Detail   string  `json:"d,omitempty"`
	At       int64   `json:"t,omitempty"`
	Reported bool    `json:"b,omitempty"`
	CutOff   bool    `json:"c,omitempty"`
	Proof    string  `json:"k,omitempty"`
}

// cutOffDetail is what people read of a result whose release was cut off; it is not stored.
const cutOffDetail = "a release was cut off before, and may have sent it; no further copy leaves"

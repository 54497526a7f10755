package authenticate

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// maxSignatureFields bounds the DKIM-Signature fields that are read for one believed result.
const maxSignatureFields = 50

// believe returns what earlier milters found, by method. A field counts only when its authserv-id is a trusted name
// with the queue ID of this very message: position says nothing, since our own Received is hidden from milters, and a
// bare name can be typed by anybody. Queue IDs can be guessed now and then, so one wrong claim, or two fields for one
// method, make all of them void: an earlier milter adds a field of its own to every message that somebody could forge
// one for, since a DKIM result counts only for signatures that it reports about.
func (v *Verifier) believe(m Message, e *Evidence) map[string][]Result {
	believed := map[string][]Result{}
	for _, f := range m.Header {
		if !f.Is("Authentication-Results") {
			continue
		}
		name, queueID := SplitID(ServID(f.Value))
		if queueID == "" || !v.trusts(name) {
			continue
		}
		results, err := parseResults(f.Value)
		switch {
		case m.QueueID == "" || queueID != m.QueueID:
			e.Doubt = "a field claims " + name + " with another queue ID"
		case err != nil:
			e.Doubt = "the field of " + name + " can't be read without doubt"
		case overlap(believed, results):
			e.Doubt = "two fields claim " + name + " for one method"
		}
		if e.Doubt != "" {
			return nil
		}
		for _, r := range results {
			believed[r.Method] = append(believed[r.Method], r)
		}
	}
	return believed
}

func (v *Verifier) trusts(name string) bool {
	for _, t := range v.o.Trust {
		if SameID(t, name) {
			return true
		}
	}
	return false
}

// Vouched says whether an authserv-id is a trusted name with the queue ID of a message.
func (v *Verifier) Vouched(id, queueID string) bool {
	name, job := SplitID(id)
	return queueID != "" && job == queueID && v.trusts(name)
}

// SameID compares two names of authentication servers.
func SameID(a, b string) bool {
	return holdstore.Same(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// SplitID parts an authserv-id as OpenDKIM and OpenDMARC write it with AuthservIDWithJobID, "NAME/QUEUEID". Queue IDs
// have no slash.
func SplitID(id string) (name, queueID string) {
	name, queueID, _ = strings.Cut(id, "/")
	return name, queueID
}

func overlap(believed map[string][]Result, results []Result) bool {
	for _, r := range results {
		if len(believed[r.Method]) > 0 {
			return true
		}
	}
	return false
}

// takeDMARC takes a believed result about From's domain. Pass says that its record allows domains of the same
// organisation; alone it is not evidence, since it does not tell what covers which field.
func (e *Evidence) takeDMARC(results []Result) (loose, ok bool) {
	if len(results) != 1 || results[0].Properties["header.from"] != e.From {
		return false, false
	}
	e.DMARC, e.Temporary = results[0].Value, results[0].Value == TempError
	e.Believed = append(e.Believed, "dmarc")
	return e.DMARC == Pass, true
}

// takeDKIM takes believed results. What a signature covers stands in the message.
func (e *Evidence) takeDKIM(m Message, results []Result, strict bool) {
	e.Believed = append(e.Believed, "dkim")
	for _, r := range results {
		s := Signature{Domain: r.Properties["header.d"], Result: r.Value}
		if r.Value == None && s.Domain == "" {
			continue
		}
		if s.Result == Pass {
			e.proofs = append(e.proofs,
				proof{"dkim=" + s.Domain, s.Domain, func(fields []string) string { return m.bare(r, fields) }, strict})
		}
		e.Temporary = e.Temporary || s.Result == TempError
		e.DKIM = append(e.DKIM, s)
	}
}

// bare says which of some fields the signatures that a result can mean leave uncovered. Anybody can add one that looks
// like the one that passed, so each of them must cover all.
func (m Message) bare(r Result, fields []string) string {
	found, seen := false, 0
	for _, f := range m.Header {
		if !f.Is("DKIM-Signature") {
			continue
		}
		tag, ok := tags(f.Value)
		if seen++; !ok || !sound(f.Value, tag) || seen > maxSignatureFields {
			return "any field for certain"
		}
		if !holdstore.Same(packed(tag["d"]), r.Properties["header.d"]) ||
			!strings.HasPrefix(holdstore.Fold(packed(tag["b"])), r.Properties["header.b"]) {
			continue
		}
		found = true
		if _, cut := tag["l"]; cut {
			return "the whole body"
		}
		if bare := missing(signed(tag), fields); bare != "" {
			return bare
		}
	}
	if !found {
		return "this message"
	}
	return ""
}

// takeSPF takes a believed result about the envelope sender that we know; other results say nothing.
func (e *Evidence) takeSPF(m Message, results []Result, strict bool) bool {
	e.SPFDomain = m.SPFDomain()
	if len(results) != 1 {
		return false
	}
	of := results[0].Properties["smtp.mailfrom"]
	if m.MailFrom == "" {
		of = results[0].Properties["smtp.helo"]
	}
	if of[strings.LastIndexByte(of, '@')+1:] != e.SPFDomain || e.SPFDomain == "" {
		return false
	}
	e.SPF = results[0].Value
	e.Believed = append(e.Believed, "spf")
	e.Temporary = e.Temporary || e.SPF == TempError
	if e.SPF == Pass {
		e.proofs = append(e.proofs, proof{"spf=" + e.SPFDomain, e.SPFDomain, whole, strict})
	}
	return true
}

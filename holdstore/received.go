package holdstore

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Bounds of what is remembered of a message.
const (
	MaxRemembered = 1000 // recipients of one transaction
	MaxNamed      = 500  // bytes of a Message-ID; no recall names a longer one
)

const (
	maxLock = 512 // bytes: four locks of SHA-512
	slotLen = 2   // characters of base64: at most 4096 transactions of one message
)

// IsFrom says whether the message came from an address.
func (r Received) IsFrom(address string) bool { return r.From == digest(address) }

// WentTo says whether all addresses got it.
func (r Received) WentTo(addresses []string) bool {
	got := map[string]bool{}
	for _, d := range r.Recipients {
		got[d] = true
	}
	for _, a := range addresses {
		if !got[digest(a)] {
			return false
		}
	}
	return len(addresses) > 0
}

// bare is the subject by which a message is found.
func (r Received) bare() string {
	if len(r.Subjects) == 0 {
		return ""
	}
	return r.Subjects[len(r.Subjects)-1]
}

// Remembered returns the message with a Message-ID from an address, and without a Message-ID those with a bare subject.
func (s *Store) Remembered(ctx context.Context, from, messageID, subject string) ([]Received, error) {
	at, names := s.nodes.Of(digest(from)), []string{digest(messageID) + digest(from)}
	if messageID == "" {
		var err error
		if names, err = s.inSubject(ctx, subjectKey(at, digest(from+"\n"+subject))); err != nil {
			return nil, nodes.Explain(err)
		}
	}
	p := s.nodes.Client.Pipeline()
	found := make([]*redis.StringSliceCmd, len(names))
	for n, name := range names {
		found[n] = p.HVals(ctx, receivedKey(at, name))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, nodes.Explain(err)
	}
	var all []Received
	for _, values := range found {
		all = append(all, together(values.Val())...)
	}
	for n := range all {
		if messageID == "" { // what it was found by is not kept
			all[n].Subjects = append(all[n].Subjects, digest(subject))
		}
	}
	return all, nil
}

// together joins the transactions of one message. With another lock it is another message with the same Message-ID.
func together(values []string) (all []Received) {
	for _, value := range values {
		r, ok := unpackReceived(value)
		if !ok {
			continue
		}
		n := slices.IndexFunc(all, func(other Received) bool { return other.Lock == r.Lock })
		if n < 0 {
			all = append(all, r)
			continue
		}
		all[n].Recipients = append(all[n].Recipients, r.Recipients...)
		all[n].Ways = append(all[n].Ways, r.Ways...)
		if r.At.Before(all[n].At) {
			all[n].At = r.At
		}
	}
	return all
}

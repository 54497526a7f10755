package holdstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Received is what is remembered of a message that came in, so that a recall can mean it. From, the recipients and the
// subject are kept as hashes only: they are compared, and need not be readable.
type Received struct {
	MessageID  string    // at most MaxNamed bytes
	From       string    // address
	Recipients []string  // addresses; at most MaxRemembered are kept
	Subjects   []string  // the subject, and what is left behind each reply word; the last is bare
	Sent       time.Time // its Date; zero: none
	Lock       string    // the value of its Cancel-Lock field; at most maxLock bytes
	Ways       []Way     // one for each transaction
	At         time.Time
}

// Way is how a message came in. Anybody can type a sender, so it tells which of several messages is the sender's own.
type Way struct {
	Client  string // IP address
	Domain  string // of the envelope sender
	Aligned bool   // an earlier milter that is believed found it aligned with From
	Shared  bool   // From is the address of a mailing list, under which all its members write
}

// Bounds of what is remembered of a message.
const (
	MaxRemembered = 1000 // recipients of one transaction
	MaxNamed      = 500  // bytes of a Message-ID; no recall names a longer one
)

const (
	maxLock   = 512 // bytes: four locks of SHA-512
	slotLen   = 2   // characters of base64: at most 4096 transactions of one message
	digestLen = 9   // bytes
)

// Digest is how a text is kept that is only compared, in any case.
func Digest(text string) string { return digest(text) }

// digest is short: it only has to tell what one recipient got, and matches are read, never sent.
func digest(text string) string {
	sum := sha256.Sum256([]byte(Fold(text)))
	return base64.RawStdEncoding.EncodeToString(sum[:digestLen])
}

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

func digests(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, digest(text))
	}
	return all
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
		if names, err = s.inTopic(ctx, topicKey(at, digest(from+"\n"+subject))); err != nil {
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

// Once says whether something is used for the first time within a span, or again by the same user, who may have to
// try again.
func (s *Store) Once(ctx context.Context, what, user string, keep time.Duration) (bool, error) {
	key := usedKey(s.nodes.Of(digest(what)), digest(what))
	first, err := s.nodes.Client.SetNX(ctx, key, digest(user), keep).Result()
	if err != nil || first {
		return first, nodes.Explain(err)
	}
	by, err := s.nodes.Client.Get(ctx, key).Result()
	return by == digest(user), nodes.Explain(err)
}

// Spent says whether Once would say no, and notes nothing.
func (s *Store) Spent(ctx context.Context, what, user string) (bool, error) {
	by, err := s.nodes.Client.Get(ctx, usedKey(s.nodes.Of(digest(what)), digest(what))).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return by != digest(user), nodes.Explain(err)
}

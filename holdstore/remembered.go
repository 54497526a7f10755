package holdstore

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

const maxLock = 512 // bytes: four locks of SHA-512

// IsFrom says whether the message came from an address.
func (r Remembered) IsFrom(address string) bool { return r.From == digest(address) }

// WentTo says whether all addresses got it.
func (r Remembered) WentTo(addresses []string) bool {
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
func (r Remembered) bare() string {
	if len(r.Subjects) == 0 {
		return ""
	}
	return r.Subjects[len(r.Subjects)-1]
}

// Pages in which the transactions of messages are read: whoever sends one with many thousands of recipients must cost
// little memory.
const (
	namesAtOnce = 8  // messages
	waysAtOnce  = 64 // transactions of each, about

	// locksMost is how many locks of one name are told apart, those of the oldest messages: a message has one lock, and
	// whoever claims its Message-ID with locks of their own comes later.
	locksMost = 16
)

// FindRemembered returns the message with a Message-ID from an address, and without a Message-ID those with a bare
// subject. Of their recipients it tells those that are asked about, and one of the others, if there are any.
func (s *Store) FindRemembered(ctx context.Context, from, messageID, subject string, asked []string) ([]Remembered,
	error) {
	at, names := s.nodes.Of(digest(from)), []string{receivedName(messageID, from)}
	if messageID == "" {
		var err error
		if names, err = s.inSubject(ctx, at, from, subject); err != nil {
			return nil, nodes.Explain(err)
		}
	}
	wanted := map[string]bool{}
	for _, address := range asked {
		wanted[string(rawDigest(digest(address)))] = true
	}
	var all []Remembered
	for some := range slices.Chunk(names, namesAtOnce) {
		found, err := s.transactions(ctx, at, some, wanted)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for n := range all {
		all[n].From = digest(from)
		if messageID == "" { // what it was found by is not kept
			all[n].Subjects = append(all[n].Subjects, digest(subject))
		}
	}
	return all, nil
}

// transactions reads messages by their names, page by page.
func (s *Store) transactions(
	ctx context.Context, at nodes.Shard, names []string, wanted map[string]bool,
) (all []Remembered, err error) {
	messages, cursors := make([]joined, len(names)), map[int]uint64{}
	for n := range names {
		messages[n].wanted, cursors[n] = wanted, 0
	}
	for len(cursors) > 0 {
		pipe, pages := s.nodes.Client.Pipeline(), map[int]*redis.ScanCmd{}
		for n, cursor := range cursors {
			pages[n] = pipe.HScan(ctx, receivedKey(at, s.receivedPart(names[n])), cursor, globQuote(names[n])+"*", waysAtOnce)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, nodes.Explain(err)
		}
		for n, page := range pages {
			fields, next := page.Val()
			for pair := range slices.Chunk(fields, 2) {
				messages[n].add(pair[len(pair)-1])
			}
			if cursors[n] = next; next == 0 {
				delete(cursors, n)
			}
		}
	}
	for _, m := range messages {
		all = append(all, m.all...)
	}
	return all, nil
}

// joined are the transactions of one name, joined to messages. With another lock it is another message with the same
// Message-ID.
type joined struct {
	wanted map[string]bool // recipients that are asked about, as raw digests
	all    []Remembered
	others []bool // of each, that one of its other recipients is kept
}

// add adds a stored transaction.
func (j *joined) add(stored string) {
	other := ""
	r, ok := unpackReceived(stored, func(raw string) bool {
		if !j.wanted[raw] && other == "" {
			other = raw
		}
		return j.wanted[raw]
	})
	if !ok {
		return
	}
	n := slices.IndexFunc(j.all, func(other Remembered) bool { return other.Lock == r.Lock })
	switch {
	case n < 0 && len(j.all) < locksMost:
		n = len(j.all)
		j.all, j.others = append(j.all, r), append(j.others, false)
	case n < 0:
		if n = j.newest(); !r.At.Before(j.all[n].At) {
			return
		}
		j.all[n], j.others[n] = r, false
	default:
		m := &j.all[n]
		m.Recipients, m.Ways = append(m.Recipients, r.Recipients...), append(m.Ways, r.Ways...)
		if r.At.Before(m.At) {
			m.At = r.At
		}
	}
	if other != "" && !j.others[n] {
		j.all[n].Recipients = append(j.all[n].Recipients, base64.RawStdEncoding.EncodeToString([]byte(other)))
		j.others[n] = true
	}
}

// newest is which of the messages came last.
func (j *joined) newest() (n int) {
	for i, m := range j.all {
		if m.At.After(j.all[n].At) {
			n = i
		}
	}
	return n
}

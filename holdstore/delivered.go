package holdstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// DeliveredQuery selects messages that came in. Empty fields do not select. Texts are as in Query; Sender is the author
// or the sender of the envelope.
type DeliveredQuery struct {
	MessageIDs                 []string // with or without angle brackets
	Sender, Recipient, Subject string
	Since, Until               time.Time
}

// deliveredAtOnce is how many entries of a queue one round trip reads.
const deliveredAtOnce = 500

// FindDelivered returns the messages that match, the oldest first, one for each transaction by which they came in; of
// recipients those that match. It looks at all that is remembered. unread counts messages whose seal key is missing.
// With ErrPartial there may be more.
func (s *Store) FindDelivered(ctx context.Context, q DeliveredQuery) (all []Delivered, unread int, err error) {
	m, err := newMatcher(Query{Sender: q.Sender, Recipient: q.Recipient, Subject: q.Subject})
	if err != nil {
		return nil, 0, err
	}
	w := &deliveries{s: s, q: q, m: m, ids: map[string]bool{}, seen: map[string]bool{}}
	for _, id := range q.MessageIDs {
		for _, written := range bothWays(id) {
			w.ids[string(rawDigest(digest(written)))] = true
		}
	}
	shards, partly := s.nodes.Visible(ctx)
	for _, at := range shards {
		networks, err := s.nodes.Client.ZRange(ctx, loadKey(at), 0, -1).Result()
		if err != nil {
			return nil, 0, nodes.Explain(err)
		}
		for _, network := range networks {
			err := w.queue(ctx, at, string(at)+"inq:"+network)
			if errors.Is(err, ErrTooMany) {
				return nil, 0, err
			}
			if err != nil {
				return nil, 0, nodes.Explain(err)
			}
		}
	}
	slices.SortStableFunc(w.all, func(a, b Delivered) int { return a.At.Compare(b.At) })
	return w.all, w.unread, partly
}

// deliveries is one search under way.
type deliveries struct {
	s      *Store
	q      DeliveredQuery
	m      *matcher
	ids    map[string]bool // digests of Message-IDs; empty: all
	seen   map[string]bool // slot and name of each that matched
	all    []Delivered
	unread int

	mailboxes int
}

// ErrTooMany says that a query selects more mailboxes than one claw back can have.
var ErrTooMany = fmt.Errorf("more than %d mailboxes match: select fewer", MaxClawMailboxes)

// queue reads a queue from its end: what is forgotten meanwhile goes at its beginning, so none is passed by. What comes
// in meanwhile shows some twice.
func (w *deliveries) queue(ctx context.Context, at nodes.Shard, key string) error {
	for end := int64(-1); ; end -= deliveredAtOnce {
		entries, err := w.s.nodes.Client.LRange(ctx, key, end-deliveredAtOnce+1, end).Result()
		if err != nil {
			return err
		}
		var wanted []string
		for _, e := range entries {
			if len(e) < entryLen || len(w.ids) > 0 && !w.ids[e[slotLen:slotLen+digestLen]] || w.seen[e[:slotLen+nameLen]] {
				continue
			}
			wanted = append(wanted, e[:slotLen+nameLen])
		}
		if err := w.read(ctx, at, wanted); err != nil || len(entries) == 0 {
			return err
		}
	}
}

// read reads the messages of some entries, and keeps those that match.
func (w *deliveries) read(ctx context.Context, at nodes.Shard, entries []string) error {
	if len(entries) == 0 {
		return nil
	}
	pipe, replies := w.s.nodes.Client.Pipeline(), make([]*redis.StringCmd, len(entries))
	for n, e := range entries {
		name := e[slotLen:]
		replies[n] = pipe.HGet(ctx, receivedKey(at, w.s.receivedPart(name)), name+e[:slotLen])
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for n, e := range entries {
		stored := deliveredOf(replies[n].Val())
		if stored == "" || w.seen[e] {
			continue
		}
		var d Delivered
		data, err := w.s.seal.Unwrap([]byte(stored), deliveredPlace(e[slotLen:]))
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		switch {
		case err != nil:
			w.unread++
		case w.takes(&d):
			if w.mailboxes += len(d.Recipients); w.mailboxes > MaxClawMailboxes {
				return ErrTooMany
			}
			w.all = append(w.all, d)
		default:
			continue
		}
		w.seen[e] = true
	}
	return nil
}

// takes says whether a message matches, and leaves of its recipients those that do.
func (w *deliveries) takes(d *Delivered) bool {
	switch {
	case len(w.q.MessageIDs) > 0 && !slices.ContainsFunc(w.q.MessageIDs, func(id string) bool {
		return SameID(id, d.MessageID)
	}),
		!fits(w.m.subject, d.Subject),
		!fits(w.m.sender, Fold(d.Author)) && !fits(w.m.sender, Fold(d.Sender)),
		!w.q.Since.IsZero() && d.At.Before(w.q.Since),
		!w.q.Until.IsZero() && d.At.After(w.q.Until):
		return false
	}
	d.Recipients = slices.DeleteFunc(d.Recipients, func(r string) bool { return !fits(w.m.recipient, Fold(r)) })
	return len(d.Recipients) > 0
}

// SameContent says whether two messages are one, as far as is known of them.
func (d *Delivered) SameContent(o *Delivered) bool {
	return cmp.Or(strings.Compare(Fold(d.MessageID), Fold(o.MessageID)), strings.Compare(Fold(d.Author), Fold(o.Author)),
		strings.Compare(d.Header, o.Header), strings.Compare(d.Body, o.Body)) == 0
}

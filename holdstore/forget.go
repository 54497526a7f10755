package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Traces are what the store knows of a person.
type Traces struct {
	Records    []string // IDs of released and recalled messages that they sent or got
	Waiting    []string // IDs of those that wait or are being sent: they can't be forgotten yet
	Remembered []string // names of messages that came in from them
	Chosen     bool     // a grace of their own

	received map[string][]string // keys of hashes, and fields of these messages in them
}

// Traces looks for what is known of a login or an address. What is only kept as digests of other people's mail, such as
// the recipients of what came in, can't be found; it ends by itself. ErrPartial: servers are away that may know more.
func (s *Store) Traces(ctx context.Context, name string) (t Traces, err error) {
	if name == "" || strings.ContainsAny(name, "*?/<> ") {
		return t, fmt.Errorf("%q is not an address or a login", name)
	}
	for _, q := range []Query{{Sender: name}, {Login: name}, {Recipient: name}} {
		q.States = []State{Held, Releasing, Released, Recalled}
		for h, wrong := range s.Find(ctx, q) {
			switch {
			case errors.Is(wrong, ErrPartial) || errors.Is(wrong, ErrDamaged):
				err = wrong
			case wrong != nil:
				return t, wrong
			case h.State == Held || h.State == Releasing:
				t.Waiting = append(t.Waiting, h.ID)
			default:
				t.Records = append(t.Records, h.ID)
			}
		}
	}
	for _, list := range []*[]string{&t.Records, &t.Waiting} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	var wrong error
	if t.received, wrong = s.rememberedFrom(ctx, name); wrong != nil {
		return t, wrong
	}
	for _, fields := range t.received {
		for _, field := range fields {
			t.Remembered = append(t.Remembered, field[:nameLen])
		}
	}
	t.Remembered = distinct(t.Remembered)
	own, wrong := s.ChosenGrace(ctx, personNames(name)...)
	t.Chosen = own != nil
	return t, errors.Join(err, wrong)
}

// personNames are the names under which a person's choice is kept; package choice makes the same.
func personNames(name string) []string { return []string{"login " + name, "address " + name} }

// scanPage is how many keys one step of a look at all of them sees.
const scanPage = 1000

// rememberedFrom lists the fields of messages that came in from an address, by their hashes: their names end with its
// digest.
func (s *Store) rememberedFrom(ctx context.Context, from string) (received map[string][]string, err error) {
	var mu sync.Mutex
	received = map[string][]string{}
	hashes := strings.TrimSuffix(s.everything(), "*") + "in:m:*"
	fields := strings.Repeat("?", digestLen) + globQuote(string(rawDigest(digest(from)))) + strings.Repeat("?", slotLen)
	err = s.nodes.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []nodes.Shard) error {
		for cursor := uint64(0); ; {
			page, next, err := node.Scan(ctx, cursor, hashes, scanPage).Result()
			if err != nil {
				return nodes.Explain(err)
			}
			for _, key := range page {
				found, err := scanFields(ctx, node, key, fields)
				if err != nil {
					return err
				}
				if len(found) > 0 {
					mu.Lock()
					received[key] = found
					mu.Unlock()
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
	return received, err
}

// scanFields lists the fields of a hash that a pattern matches.
func scanFields(ctx context.Context, node redis.UniversalClient, key, pattern string) (fields []string, err error) {
	for cursor := uint64(0); ; {
		page, next, err := node.HScan(ctx, key, cursor, pattern, scanPage).Result()
		if err != nil {
			return nil, nodes.Explain(err)
		}
		for pair := range slices.Chunk(page, 2) {
			fields = append(fields, pair[0])
		}
		if cursor = next; cursor == 0 {
			return fields, nil
		}
	}
}

// forgetHoldScript removes the record of a hold that waits for nothing any more. ARGV: id. Output: 1 when it did.
var forgetHoldScript = drain(`
local state = get(ARGV[1], 'state')
if state ~= 'released' and state ~= 'recalled' then return 0 end
forgetHold(ARGV[1])
return 1
`)

// ForgetPerson removes what Traces has found, but for what waits. The line of the audit trail says how much it was, and
// not of whom. A record that has come to wait again meanwhile stays; records says how many went.
func (s *Store) ForgetPerson(ctx context.Context, name string, t Traces, a Actor) (records int, err error) {
	for _, id := range t.Records {
		n, err := s.nodes.Run(ctx, s.nodes.Of(id), forgetHoldScript, id).Int()
		if err != nil {
			return records, nodes.Explain(err)
		}
		records += n
	}
	for key, fields := range t.received {
		if err := s.nodes.Client.HDel(ctx, key, fields...).Err(); err != nil {
			return records, nodes.Explain(err)
		}
	}
	if t.Chosen {
		for _, n := range personNames(name) {
			err := s.nodes.RunDurable(ctx, s.nodes.Of(digest(n)), chooseScript, digest(n), "", maxChosen, "", "", "", "").Err()
			if err != nil {
				return records, nodes.Explain(err)
			}
		}
	}
	return records, s.Audit(ctx, "forget", "", a, fmt.Sprintf("%d records, %d messages that came in", records,
		len(t.Remembered)))
}

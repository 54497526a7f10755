package holdstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// The packed record of a released message to which nothing happened since is on a shelf: a hash r:PREFIX, which many
// records share. PREFIX is how their IDs begin, and the field is the rest of the ID. Such a record has no key and no
// place in z:released of its own, and Redis keeps a short hash as one piece of memory, so a record costs little more
// than what it says. The script that settles an attempt puts the record there; a script that writes into it moves it
// into a hash of its own first (set in lib.lua), where it stays.
//
// PREFIX is the first five characters of the ID, which are 30 seconds; when that shelf has no room, the first six, a
// second; then seven, 31 ms; then eight, 1 ms; and else the record has its own hash. So shelves are neither nearly
// empty nor long, whether a site sends one message a minute or a thousand a second.
//
// Set "ends" has for each shelf when its first record ends. That moment never becomes earlier, since a record that ends
// before it goes to another shelf: whoever reads the set in order misses no shelf that was there all the time. Nor do
// records share a shelf that end more than shelfSpan apart, since such a reader has to remember those that end later.
// Counter "shelved" has how many records are on all shelves.
//
// A record begins with when it ends, and when its message was released (6 bytes each, ms). Numbers as varints and texts
// behind their lengths follow: how much later than its ID says the message was held (zigzag, ms), grace, size,
// recipients, pieces, nonce, index entries (two bytes each: kind and number), and the owner with digests as bytes;
// unless it is empty, the bytes of the record that the owner is charged for. The rest is field x without its moment.
const (
	shelfShortest = 5 // characters of PREFIX
	shelfLongest  = 8
	shelfMost     = 128  // records: Redis's own hash-max-listpack-entries
	shelfRecord   = 1000 // bytes of one: hash-max-listpack-value of the packages is 1024
	shelfSpan     = 10 * time.Minute
	shelvedBytes  = 2048 // what a record on a shelf becomes when it is read, about

	entryKinds = "mqrs"
	shelfFront = 6 + 6
)

// shelfKeys are the shelves on which a record can be, and its fields there.
func shelfKeys(at nodes.Shard, id string) (keys, fields []string) {
	for n := shelfShortest; n <= shelfLongest; n++ {
		keys, fields = append(keys, shelfKey(at, id[:n])), append(fields, id[n:])
	}
	return keys, fields
}

func shelfKey(at nodes.Shard, prefix string) string { return string(at) + "r:" + prefix }
func endsKey(at nodes.Shard) string                 { return string(at) + "ends" }
func shelvedKey(at nodes.Shard) string              { return string(at) + "shelved" }

// shelfFields are the fields of a hold that was claimed once, and to which nothing else happened.
var shelfFields = []string{"p", "o", "state", "tok", "attempts", "late"}

// shelfHead is what precedes x on a shelf, without the first two numbers; nil: the record needs a hash of its own.
// fields is the hash as it was claimed.
func shelfHead(id string, fields map[string]string) []byte {
	for name := range fields {
		if !slices.Contains(shelfFields, name) {
			return nil
		}
	}
	numbers, _, _ := strings.Cut(fields["p"], "\n")
	words := strings.Fields(numbers)
	if _, ok := holdid.Parse(id); !ok || len(words) < 6 {
		return nil
	}
	held, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return nil
	}
	b := binary.AppendVarint(nil, held-holdid.Time(id).UnixMilli())
	for _, n := range []int{1, 2, 3, 5} { // grace, size, recipients, pieces
		number, err := strconv.ParseUint(words[n], 10, 50)
		if err != nil {
			return nil
		}
		b = binary.AppendUvarint(b, number)
	}
	b = appendText(b, []byte(words[4]))
	b = binary.AppendUvarint(b, uint64(len(words)-6))
	for _, entry := range words[6:] {
		kind := strings.Index(entryKinds, entry[:1])
		number, err := strconv.ParseUint(entry[1:], 10, 16)
		if kind < 0 || err != nil || number >= buckets {
			return nil
		}
		b = binary.BigEndian.AppendUint16(b, uint16(kind)*buckets+uint16(number))
	}
	return appendOwner(b, fields["o"])
}

// appendOwner appends what field o says once no content waits; nil: it says something else.
func appendOwner(b []byte, o string) []byte {
	if o == "" {
		return appendText(b, nil)
	}
	words := strings.Fields(o)
	if len(words) != 3 {
		return nil
	}
	cost, err := strconv.ParseUint(words[2], 10, 50)
	if err != nil || cost >= numberMost {
		return nil
	}
	group, sender, _ := strings.Cut(words[0][1:], "@")
	raw := slices.Concat([]byte(words[0][:1]), rawDigest(group), rawDigest(sender))
	if text, ok := ownerText(string(raw)); !ok || text != words[0] {
		return nil
	}
	return binary.AppendUvarint(appendText(b, raw), cost)
}

// ownerText is an owner with digests as text, of one with digests as bytes.
func ownerText(raw string) (text string, ok bool) {
	switch len(raw) {
	case 1 + digestLen:
		return raw[:1] + base64.RawStdEncoding.EncodeToString([]byte(raw[1:])), true
	case 1 + 2*digestLen:
		text, _ = ownerText(raw[:1+digestLen])
		return text + "@" + base64.RawStdEncoding.EncodeToString([]byte(raw[1+digestLen:])), true
	}
	return "", false
}

// What apart in lib.lua can't read from a hash is not read from a shelf.
const (
	numberMost = 1e15 // of ms and bytes
	countMost  = 1e6  // of recipients and pieces
)

// alphanumeric says whether a text is what Lua's %w+ matches.
func alphanumeric(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// offShelf gives a record on a shelf the fields that its hash would have; nil: it can't be read. opened in shelf.lua
// does the same.
func offShelf(id, value string) (fields map[string]string) {
	if len(value) <= shelfFront {
		return nil
	}
	p := &packed{rest: value[shelfFront:]}
	held := holdid.Time(id).UnixMilli() + p.signed()
	grace, size, recipients, pieces, nonce := p.number(), p.number(), p.number(), p.number(), p.text()
	if held < 0 || max(uint64(held), grace, size) >= numberMost || max(recipients, pieces) >= countMost ||
		!alphanumeric(nonce) {
		return nil
	}
	var entries []string
	for n := p.number(); n > 0 && !p.broken; n-- {
		entry := p.bytes(2)
		if entry == "" {
			break
		}
		number := int(binary.BigEndian.Uint16([]byte(entry)))
		if number/buckets >= len(entryKinds) {
			return nil
		}
		entries = append(entries, entryKinds[number/buckets:][:1]+strconv.Itoa(number%buckets))
	}
	line := fmt.Sprintf("%d %d %d %d %s %d %s\n", held, grace, size, recipients, nonce, pieces,
		strings.Join(entries, " "))
	fields = map[string]string{"p": line, "state": string(Released)}
	if raw := p.text(); raw != "" {
		owner, ok := ownerText(raw)
		cost := p.number()
		if !ok || cost >= numberMost {
			return nil
		}
		fields["o"] = owner + " - " + strconv.FormatUint(cost, 10)
	}
	if p.broken {
		return nil
	}
	fields["x"] = strconv.FormatInt(sixBytes(value[6:]), 10) + " " + p.rest
	return fields
}

// sixBytes is the number with which a text begins.
func sixBytes(text string) (n int64) {
	for _, b := range []byte(text[:6]) {
		n = n<<8 | int64(b)
	}
	return n
}

// recordsOf reads the records of holds, wherever they are, as hashes; an empty one stands for none. What has no hash is
// looked for on shelves, and then once more: it can have moved into one meanwhile, and never moves back.
func (s *Store) recordsOf(ctx context.Context, ids []string) ([]map[string]string, error) {
	all := make([]map[string]string, len(ids))
	for _, read := range []func(context.Context, []string, []map[string]string) error{
		s.hashes, s.onShelves, s.hashes} {
		if err := read(ctx, ids, all); err != nil {
			return nil, nodes.Explain(err)
		}
	}
	return all, nil
}

// recordOf is recordsOf for one.
func (s *Store) recordOf(ctx context.Context, id string) (map[string]string, error) {
	all, err := s.recordsOf(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// hashes reads the hashes of those holds of which no record is known yet.
func (s *Store) hashes(ctx context.Context, ids []string, known []map[string]string) error {
	pipe := s.nodes.Client.Pipeline()
	replies := map[int]*redis.MapStringStringCmd{}
	for n, id := range ids {
		if len(known[n]) == 0 {
			replies[n] = pipe.HGetAll(ctx, holdKey(s.nodes.Of(id), id))
		}
	}
	if len(replies) == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	for n, r := range replies {
		known[n] = r.Val()
	}
	return err
}

// onShelves reads what is on shelves of those holds of which no record is known yet.
func (s *Store) onShelves(ctx context.Context, ids []string, known []map[string]string) error {
	pipe := s.nodes.Client.Pipeline()
	replies := map[*redis.StringCmd]int{}
	for n, id := range ids {
		if len(known[n]) > 0 || len(id) != holdid.Length {
			continue
		}
		keys, fields := shelfKeys(s.nodes.Of(id), id)
		for k := range keys {
			replies[pipe.HGet(ctx, keys[k], fields[k])] = n
		}
	}
	if len(replies) == 0 {
		return nil
	}
	pipe.Exec(ctx) // a record is on one of its shelves, or on none
	for r, n := range replies {
		if errors.Is(r.Err(), redis.Nil) {
			continue
		}
		if r.Err() != nil {
			return r.Err()
		}
		if known[n] = offShelf(ids[n], r.Val()); known[n] == nil {
			known[n] = map[string]string{"state": string(Released)} // it is there, and damaged
		}
	}
	return nil
}

// endOf is when a record on a shelf ends (ms), as in shelf.lua: what can't be read has ended.
func endOf(value string) int64 {
	if len(value) <= shelfFront {
		return 0
	}
	return sixBytes(value)
}

// queueShelved asks how many records of a shard are on shelves; "" is none.
func queueShelved(ctx context.Context, pipe redis.Pipeliner, at nodes.Shard) *redis.StringCmd {
	return pipe.GetRange(ctx, shelvedKey(at), 0, -1)
}

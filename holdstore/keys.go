package holdstore

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Key names of one shard. Each begins with the shard: the prefix and one hash tag, which keeps all keys of a script
// in one Cluster slot.
//
//	h:ID            hash: the hold, or the record of one; record.go lists its fields
//	r:PREFIX        hash, a shelf: records of released messages whose IDs begin so; see shelf.go
//	ends            shelves; score: when their first record ends. shelved: how many records are on all of them
//	b:ID:NONCE:n    piece n of the content; 0 is the header block
//	z:STATE         holds by state, without those on shelves; score: held due, releasing lease end, released and
//	                recalled the record's end (ms)
//	ages            hash: of each ten seconds since 1970, how many that were held then are still held or releasing
//	i:KIND+NUMBER   set, index: s sender and login, r recipient, m Message-ID, q queue ID; members are the numbers of
//	                IDs. Several values share an entry, so that no name shows one: look at the record (index.go)
//	u               hash: the IDs of unconfirmed holds by fingerprint
//	own             hash: what each owner has in the store, see quota.go
//	debts           recalled holds; score: when their content goes, and their owner is no longer charged for it
//	x:ID            tombstone: a commit of this ID comes too late
//	in:m:NUMBER     hash: messages that came in, for recalls, a field for each transaction; see rememberedform.go
//	in:t:NUMBER     such messages by sender and subject; score: when they came
//	inq:NUMBER      list: what is remembered of the networks with that number, the oldest first; see rememberedroom.go
//	inload          the networks' numbers; score: bytes
//	insum           hash: messages, bytes, and how many went early, of all networks; keep: for how long (ms)
//	in:u:HASH       what served for one recall
//	in:n:HASH:SPAN  counter of a name in a span of time
//	co:NUMBER       hash: the last day on which each of our people wrote to each of their contacts, see correspondents.go
//	ci:NUMBER       hash: the same for contacts that wrote to our people
//	cosince         the first day of which such pairs are remembered
//	out:DAY:NUMBER  hash: who used which Message-ID for outbound mail that was not held
//	j:ID            hash: a job
//	jobs            IDs of jobs; score: when they are due, or their lease ends
//	jobs:in         requesters of other sites, and jobs:in:REQUESTER their jobs; jobs:us: of our own users, and
//	                jobs:op: of operators; see jobs.go
//	cb:ID           hash: a claw back, with a field for each mailbox; see clawback.go
//	claws           IDs of claw backs; score: when they were ordered
//	turn:DIGEST     string: the job whose turn it is to change the mailbox of an address; ends by itself
//	rq:ID           a recall request that we made; rq:m:HASH the holds of a Message-ID for which there are some
//	log             stream: the audit trail
//	wake            channel: something is due sooner than before
//	bytes, late     counters: bytes that wait; how late the last release began (ms)
//	secret          the gateway's secret, sealed when there is a key
//	probe           written to see whether the replicas follow
//	aside:NAME      a key that was of another type than it should be; aside: their names by when (damage.go)
//	damage          list: lines about damage that no daemon has logged yet
//	schema          layout and number of shards, see nodes.Layout
//	tokens          hash: the records of API tokens by their digests
//	graces          hash: the graces that people have chosen (ms) by digests of their names; "": its version
//	ended:HASH      when somebody's sessions with the page were ended
//	paused          hash: who stopped the releases, when and why; there while they are stopped

func loadKey(at nodes.Shard) string { return string(at) + "inload" }
func queueKey(at nodes.Shard, network int) string {
	return string(at) + "inq:" + strconv.Itoa(network)
}
func holdKey(at nodes.Shard, id string) string     { return string(at) + "h:" + id }
func stateKey(at nodes.Shard, st State) string     { return string(at) + "z:" + string(st) }
func agesKey(at nodes.Shard) string                { return string(at) + "ages" }
func indexKey(at nodes.Shard, entry string) string { return string(at) + "i:" + entry }
func logKey(at nodes.Shard) string                 { return string(at) + "log" }
func wakeKey(at nodes.Shard) string                { return string(at) + "wake" }
func bytesKey(at nodes.Shard) string               { return string(at) + "bytes" }
func lateKey(at nodes.Shard) string                { return string(at) + "late" }
func pausedKey(at nodes.Shard) string              { return string(at) + "paused" }
func receivedKey(at nodes.Shard, n int) string     { return string(at) + "in:m:" + strconv.Itoa(n) }
func subjectKey(at nodes.Shard, n int) string      { return string(at) + "in:t:" + strconv.Itoa(n) }
func ownKey(at nodes.Shard) string                 { return string(at) + "own" }
func rememberedKey(at nodes.Shard) string          { return string(at) + "insum" }
func usedKey(at nodes.Shard, h string) string      { return string(at) + "in:u:" + h }
func rateKey(at nodes.Shard, h string, span int64) string {
	return string(at) + "in:n:" + h + ":" + strconv.FormatInt(span, 10)
}
func unheldKey(at nodes.Shard, bucket string) string { return string(at) + "out:" + bucket }
func jobsKey(at nodes.Shard) string                  { return string(at) + "jobs" }
func requestersKey(at nodes.Shard) string            { return string(at) + "jobs:in" }
func usersKey(at nodes.Shard) string                 { return string(at) + "jobs:us" }
func operatorsKey(at nodes.Shard) string             { return string(at) + "jobs:op" }
func clawKey(at nodes.Shard, id string) string       { return string(at) + "cb:" + id }
func clawsKey(at nodes.Shard) string                 { return string(at) + "claws" }
func requestKey(at nodes.Shard, id string) string    { return string(at) + "rq:" + id }
func secretKey(at nodes.Shard) string                { return string(at) + "secret" }
func tokensKey(at nodes.Shard) string                { return string(at) + "tokens" }
func gracesKey(at nodes.Shard) string                { return string(at) + "graces" }
func endedKey(at nodes.Shard, h string) string       { return string(at) + "ended:" + h }

func pieceKey(at nodes.Shard, id, nonce string, n int) string {
	return string(at) + "b:" + id + ":" + nonce + ":" + strconv.Itoa(n)
}

// buckets is how many numbers each kind of index has in the whole store. Holds that share an entry share the cost of
// its key; with a million, some 120 share one, which is what a search reads.
const buckets = 1 << 13

// entry returns the part of an index key behind "i:", for one of our shards.
func (s *Store) entry(kind, value string) string {
	return bucketOf(indexText(kind, value), buckets/len(s.nodes.Shards))
}

// entries returns the entries of several values of a kind, each once.
func (s *Store) entries(kind string, values ...string) (all []string) {
	for _, value := range values {
		if e := s.entry(kind, value); value != "" && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

// bucketOf is the entry of a text in an index with so many numbers.
func bucketOf(text string, of int) string {
	sum := sha1.Sum([]byte(text))
	return text[:1] + strconv.Itoa(int(binary.BigEndian.Uint16(sum[:]))%of)
}

// indexText is what is looked for in an index. Queue IDs keep their case.
func indexText(kind, value string) string {
	if kind != "q" {
		value = Fold(value)
	}
	if len(value) > 64 {
		sum := sha256.Sum256([]byte(value))
		value = "#" + hex.EncodeToString(sum[:20])
	}
	return kind + ":" + value
}

// indexEntries lists all index entries of a submission, each once.
func (s *Store) indexEntries(sub *Submission) []string {
	all := s.entries("s", sub.owners()...)
	all = append(all, s.entries("m", sub.MessageID)...)
	all = append(all, s.entries("q", sub.QueueID)...)
	for _, r := range sub.Recipients {
		all = append(all, s.entries("r", r.Address)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// entries are the index entries of what somebody has sent.
func (w Whose) entries(s *Store) []string {
	listed := []string{w.Login}
	if w.Sender != "" {
		listed = names(w.Sender)
	}
	return s.entries("s", listed...)
}

func heldKey(at nodes.Shard) string { return stateKey(at, Held) }

// trailMost is how many entries of a shard's audit trail stay however young they are: a bound for the memory, some
// 200 MB.
const trailMost = 1_000_000

// ageStep is how exactly a shard counts how old is what waits.
const ageStep = 10 * time.Second

// shardOf cuts a key's name into its shard, "" when that is none of ours, and what is behind it.
func (s *Store) shardOf(name string) (at nodes.Shard, rest string) {
	n := strings.Index(name, "}:") + 2
	if n < 2 || !s.nodes.Has(nodes.Shard(name[:n])) {
		return "", name
	}
	return nodes.Shard(name[:n]), name[n:]
}

// everything is the pattern of the names of all keys.
func (s *Store) everything() string { return globQuote(s.opt.Prefix) + ":{mh*}:*" }

// globQuote keeps Redis from reading a name as a pattern.
func globQuote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(name)
}

package holdstore

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// keys builds the key names of one shard. Its value is what every name begins with: the prefix and one hash tag, which
// keeps all keys of a script in one Cluster slot.
//
//	h:ID            hash: the hold, or the record of one. p is what it was at first, see record.go; the other fields say what became of it
//	b:ID:NONCE:n    piece n of the content; 0 is the header block
//	z:STATE         holds by state; score: held due, releasing lease end, released and recalled the record's end (ms)
//	ages            hash: of each ten seconds since 1970, how many that were held then still are held or releasing
//	i:KIND+NUMBER   index: s sender and login, r recipient, c client address, m Message-ID, q queue ID; score held_at.
//	                Several values share a number, so that none stands in a name and few keys suffice: look at the record
//	u               hash: the IDs of unconfirmed holds by fingerprint
//	own             hash: what each owner has in the store, see quota.go; debts: recalled holds, score: when their content goes
//	x:ID            tombstone: a commit of this ID comes too late
//	in:m:HASH       hash: a message that came in, for recalls, a field for each transaction; in:t:HASH its names by sender and subject,
//	                each behind its origin, score: when
//	inq:NUMBER      list: what is remembered of the networks with that number, the oldest first; see allowance.go. inload their
//	                bytes; insum hash: messages, bytes, and how many went early, of all of them
//	in:u:HASH       what served for one recall; in:n:HASH:SPAN recalls of one domain
//	out:DAY:NUMBER  hash: who used which Message-ID for outbound mail that was not held
//	j:ID            job; jobs: their IDs, score: when they are due, or their lease ends; jobs:in and jobs:in:ASKER: see lane.go
//	rq:ID           a recall request that we made; rq:m:HASH the holds of a Message-ID for which there are some
//	log             stream, the audit trail; wake: channel; bytes, late: counters; secret
//	probe           written to see whether the replicas follow
//	schema          layout and number of shards: see schema.go
//	paused          hash: who stopped the releases, when and why; there while they are stopped
func holdKey(at nodes.Shard, id string) string     { return string(at) + "h:" + id }
func stateKey(at nodes.Shard, st State) string     { return string(at) + "z:" + string(st) }
func agesKey(at nodes.Shard) string                { return string(at) + "ages" }
func indexKey(at nodes.Shard, entry string) string { return string(at) + "i:" + entry }
func logKey(at nodes.Shard) string                 { return string(at) + "log" }
func wakeKey(at nodes.Shard) string                { return string(at) + "wake" }
func bytesKey(at nodes.Shard) string               { return string(at) + "bytes" }
func lateKey(at nodes.Shard) string                { return string(at) + "late" }
func pausedKey(at nodes.Shard) string              { return string(at) + "paused" }
func receivedKey(at nodes.Shard, h string) string  { return string(at) + "in:m:" + h }
func topicKey(at nodes.Shard, h string) string     { return string(at) + "in:t:" + h }
func ownKey(at nodes.Shard) string                 { return string(at) + "own" }
func rememberedKey(at nodes.Shard) string          { return string(at) + "insum" }
func usedKey(at nodes.Shard, h string) string      { return string(at) + "in:u:" + h }
func rateKey(at nodes.Shard, h string, span int64) string {
	return string(at) + "in:n:" + h + ":" + strconv.FormatInt(span, 10)
}
func unheldKey(at nodes.Shard, bucket string) string { return string(at) + "out:" + bucket }
func jobsKey(at nodes.Shard) string                  { return string(at) + "jobs" }
func askersKey(at nodes.Shard) string                { return string(at) + "jobs:in" }
func requestKey(at nodes.Shard, id string) string    { return string(at) + "rq:" + id }
func secretKey(at nodes.Shard) string                { return string(at) + "secret" }

func chunkKey(at nodes.Shard, id, nonce string, n int) string {
	return string(at) + "b:" + id + ":" + nonce + ":" + strconv.Itoa(n)
}

// buckets is how many numbers each kind of index has in the whole store: with a million holds some 15 share one.
const buckets = 1 << 16

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

// indexText is what is looked for in an index. Message-IDs and queue IDs keep their case.
func indexText(kind, value string) string {
	if kind != "m" && kind != "q" {
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
	all = append(all, s.entries("c", sub.Client.Address)...)
	all = append(all, s.entries("m", sub.MessageID)...)
	all = append(all, s.entries("q", sub.QueueID)...)
	for _, r := range sub.Recipients {
		all = append(all, s.entries("r", r.Address)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// owners are the names that a submission is found by: its login, and its sender unless the login tells the same.
func (sub *Submission) owners() []string {
	for _, name := range names(sub.Sender.Address) {
		if indexText("s", name) == indexText("s", sub.Login) {
			return []string{sub.Login}
		}
	}
	return []string{sub.Sender.Address, sub.Login}
}

// names are those that a sender's mail may be listed under: the address, and the part before the @, which is his login at many sites.
func names(sender string) []string {
	if at := strings.LastIndexByte(sender, '@'); at > 0 {
		return []string{sender, sender[:at]}
	}
	return []string{sender}
}

// moves begin every script: KEYS[1] is what all names begin with, and these are the moves they share.
var moves = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(n) return string.format('%d', n) end
local originals = {}
-- original is the hold's field p, taken apart; false where there is none.
local function original(id)
  local o = originals[id]
  if o == nil then
    local p = redis.call('HGET', P .. 'h:' .. id, 'p')
    if p then
      o = {}
      o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix, o.meta = string.match(p, '^(%d+) (%d+) (%d+) (%d+) (%w+) (%d+) ([^\n]*)\n([^\n]*)')
      if o.held_at then o.state, o.due = 'held', int(o.held_at + o.grace) end
    end
    originals[id] = o or false
  end
  return o
end
local became = {state = true, due = true}
local function get(id, field)
  local o = original(id)
  if o and o[field] and not became[field] then return o[field] end
  return redis.call('HGET', P .. 'h:' .. id, field) or o and o[field]
end
local function num(id, field) return tonumber(get(id, field) or 0) end
local function set(id, ...) return redis.call('HSET', P .. 'h:' .. id, ...) end
-- move takes the hold out of one state's set and into another's.
local function move(id, from, to, score)
  redis.call('ZREM', P .. 'z:' .. from, id)
  redis.call('ZADD', P .. 'z:' .. to, int(score), id)
  set(id, 'state', to)
end
-- soonest is when the first of all that is held is due.
local function soonest() return tonumber(redis.call('ZRANGE', P .. 'z:held', 0, 0, 'WITHSCORES')[2] or math.huge) end
-- hurry wakes the release loops when due is earlier than everything held; call it before the hold goes in.
local function hurry(due)
  if due < soonest() then redis.call('PUBLISH', P .. 'wake', int(due)) end
end
-- note adds a timeline line; a hold that is retried for days forgets its oldest ones.
local function note(id, event)
  local tl = get(id, 'tl') or ''
  if #tl > 32768 then tl = string.sub(tl, (string.find(tl, '\n', 8192, true) or 0) + 1) end
  set(id, 'tl', tl .. int(now) .. ' ' .. event .. '\n')
end
-- each calls f with the key of every piece of the content.
local function each(id, f)
  local b = P .. 'b:' .. id .. ':' .. (get(id, 'nonce') or '') .. ':'
  for n = 0, num(id, 'chunks') - 1 do f(b .. n) end
end
local function drop(key) redis.call('DEL', key) end
-- aged counts that n holds of an age more (or less) wait.
local function aged(age, n)
  if redis.call('HINCRBY', P .. 'ages', age, n) <= 0 then redis.call('HDEL', P .. 'ages', age) end
end
local function ageAt(moment) return int(math.floor(moment / ` + fmt.Sprint(ageStep.Milliseconds()) + `)) end
local function ageOf(id) return ageAt(num(id, 'held_at')) end
-- waits counts a hold that is held or releasing from now on, or is not any more.
local function waits(id, yes)
  redis.call('INCRBY', P .. 'bytes', (yes and '' or '-') .. get(id, 'size'))
  aged(ageOf(id), yes and 1 or -1)
end
-- own counts something of an owner: :n messages that wait, or whose content is kept; :b their bytes; :r bytes of all records.
local function own(field, by)
  if redis.call('HINCRBY', P .. 'own', field, int(by)) <= 0 then redis.call('HDEL', P .. 'own', field) end
end
-- uncharge takes from its owner what a hold had waiting, or all of it.
local function uncharge(id, all)
  local owner, content, record = string.match(get(id, 'o') or '', '^(%S+) (%S+) (%d+)$')
  if not owner then return end
  if content ~= '-' then
    own(owner .. ':n', -1)
    own(owner .. ':b', -(content + record))
    if not all then set(id, 'o', owner .. ' - ' .. record) end
  end
  if all then own(owner .. ':r', -record) end
end
-- recordTime is how long a record is kept: less, when its owner has more records than their part of the store.
local function recordTime(owner, normal, least)
  local f = redis.call('HMGET', P .. 'own', 'room', owner .. ':r')
  return f[1] and f[2] and tonumber(f[2]) > tonumber(f[1]) and math.min(normal, least) or normal
end
-- erase removes everything of a hold that nothing counts; its content may stay.
local function erase(id, contentStays)
  if not contentStays then each(id, drop) end
  for e in string.gmatch(get(id, 'ix') or '', '%S+') do redis.call('ZREM', P .. 'i:' .. e, id) end
  drop(P .. 'h:' .. id)
  originals[id] = nil
end
-- forget removes everything of a hold.
local function forget(id)
  local waiting = 0
  for _, st in ipairs({'held', 'releasing'}) do waiting = waiting + redis.call('ZREM', P .. 'z:' .. st, id) end
  for _, st in ipairs({'released', 'recalled'}) do redis.call('ZREM', P .. 'z:' .. st, id) end
  if waiting > 0 then waits(id, false) end
  uncharge(id, true)
  redis.call('ZREM', P .. 'debts', id)
  erase(id)
end
-- open is how many recipients have no final result yet.
local function open(id) return tonumber(get(id, 'np') or get(id, 'nrcpt')) end
-- pending says whether recipient n has no final result yet.
local function pending(id, n)
  local r = get(id, 'r' .. n)
  return not r or cjson.decode(r).o == 'pending'
end
-- audit writes what a person did into the trail: one entry for all holds that were done at once, with blanks between IDs.
-- Reap cuts the trail by age; the length is only a last bound.
local function audit(id, verb, by, from, reason, detail)
  redis.call('XADD', P .. 'log', 'MAXLEN', '~', ` + fmt.Sprint(trailMost) + `, '*', 'verb', verb, 'id', id, 'by', by, 'from', from,
    'reason', reason, 'detail', detail)
end
`

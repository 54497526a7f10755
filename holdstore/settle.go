package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Settlement is what one release attempt brought.
type Settlement struct {
	Results map[int]Result // by recipient index; only what changed
	Defect  string         // a defect of ours ended the attempt, and this is its first line; after ParkAfter of them the hold is parked
	RetryIn time.Duration  // 0: all is settled, the hold becomes released; else it is held again for so long
	Detail  string         // one line for the timeline: the MTA's reply with its queue ID, or why it is retried
}

// Attempts that end at the same moment are settled by one script, each on its own: what is wrong with one harms no other, and
// who waits for one learns the outcome of that one. Redis syncs once for all of them.
const settleMost = 32 // of one script: others wait a millisecond or two for it

// settleScript writes what attempts brought, and then claims for those who go on.
// ARGV: record ms; what claim wants; then of each attempt: id, token, retry ms, event, how many results, defect, and index and result of each.
// Output: a list with a word for each, or an error: "ok", "lost", or "pending" (nothing left to retry was asked for, but a recipient
// is pending: all stays); and what claim returned.
var settleScript = drain(claiming + parking + `
local ended, ends, pieces, ages, owed, bytes, late = {}, {}, {}, {}, {}, 0, nil
local function some(all, f) -- as many as Lua passes on at a time
  for i = 1, #all, 200 do f(unpack(all, i, math.min(i + 199, #all))) end
end
local function settle(a, last)
  local id, retry = ARGV[a], tonumber(ARGV[a + 2])
  local state, token, np, began, charge = unpack(redis.call('HMGET', P .. 'h:' .. id, 'state', 'tok', 'np', 'late', 'o'))
  if state ~= 'releasing' or token ~= ARGV[a + 1] then return 'lost' end
  local changed = {}
  np = tonumber(np or get(id, 'nrcpt'))
  if ARGV[a + 5] ~= '' then
    local never = defect(P .. 'h:' .. id, ARGV[a + 5])
    if never then retry = never - now end
  end
  for i = a + 6, last, 2 do
    local is = cjson.decode(ARGV[i + 1]).o == 'pending'
    if pending(id, ARGV[i]) ~= is then np = np + (is and 1 or -1) end
    changed[#changed + 1], changed[#changed + 2] = 'r' .. ARGV[i], ARGV[i + 1]
  end
  if retry == 0 and np > 0 then return 'pending' end
  changed[#changed + 1], changed[#changed + 2] = 'np', np
  note(id, ARGV[a + 3])
  redis.call('HDEL', P .. 'h:' .. id, 'tok')
  if retry > 0 then
    changed[#changed + 1], changed[#changed + 2] = 'due', int(now + retry)
    some(changed, function(...) set(id, ...) end)
    hurry(now + retry)
    move(id, 'releasing', 'held', now + retry)
    return 'ok'
  end
  changed[#changed + 1], changed[#changed + 2] = 'state', 'released'
  local owner, content, record = string.match(charge or '', '^(%S+) (%d+) (%d+)$')
  local keep = tonumber(ARGV[1])
  if owner then
    local o = owed[owner]
    if not o then
      o = {n = 0, b = 0, keep = recordTime(owner, keep, ` + fmt.Sprint(crowdedRecord.Milliseconds()) + `)}
      owed[owner] = o
    end
    o.n, o.b, keep = o.n + 1, o.b + content + record, o.keep
    changed[#changed + 1], changed[#changed + 2] = 'o', owner .. ' - ' .. record
  end
  some(changed, function(...) set(id, ...) end)
  each(id, function(piece) pieces[#pieces + 1] = piece end)
  local age = ageOf(id)
  ages[age], bytes = (ages[age] or 0) - 1, bytes + get(id, 'size')
  ended[#ended + 1], ends[#ends + 1], ends[#ends + 2], late = id, int(now + keep), id, began or 0
  return 'ok'
end
local words, a = {}, 6
while ARGV[a] do
  local last = a + 5 + 2 * ARGV[a + 4]
  local fine, word = pcall(settle, a, last)
  words[#words + 1] = (fine or type(word) == 'table') and word or {err = word}
  a = last + 1
end
if #ended > 0 then
  redis.call('ZREM', P .. 'z:releasing', unpack(ended))
  redis.call('ZADD', P .. 'z:released', unpack(ends))
  some(pieces, function(...) redis.call('DEL', ...) end)
  redis.call('DECRBY', P .. 'bytes', int(bytes))
  for age, n in pairs(ages) do aged(age, n) end
  for owner, o in pairs(owed) do
    own(owner .. ':n', -o.n)
    own(owner .. ':b', -o.b)
  end
  redis.call('SET', P .. 'late', late)
end
if ARGV[2] == '0' then return {words, {}} end
local fine, rows = pcall(claim, ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]))
return {words, fine and rows or {}}
`)

// settling is one attempt on its way into the store.
type settling struct {
	id   string
	args []any // of the script
	more bool  // whoever settles it takes another hold

	err  error
	next *Claim
}

// Settle writes the results of an attempt; ErrLost when the lease is not ours any more (nothing is written).
// ErrNotNow: RetryIn is 0 although a recipient is pending (nothing is written either).
func (s *Store) Settle(ctx context.Context, c *Claim, st Settlement) error {
	_, err := s.settle(ctx, c, st, false)
	return err
}

// SettleNext is Settle, and claims the next due hold in the same step. nil: there is none, or only Claim can get it.
func (s *Store) SettleNext(ctx context.Context, c *Claim, st Settlement) (*Claim, error) {
	// Of several shards the soonest hold may be in another; and replicas must have a claim, but need not have what was settled.
	return s.settle(ctx, c, st, len(s.nodes.Shards) == 1 && s.opt.Replicas == 0)
}

func (s *Store) settle(ctx context.Context, c *Claim, st Settlement, more bool) (*Claim, error) {
	x := &settling{id: c.ID, args: settleArgs(c, st), more: more}
	if err := s.settles[s.nodes.Of(c.ID)].do(ctx, &s.work, x); err != nil {
		return nil, nodes.Explain(err)
	}
	return x.next, x.err
}

func settleArgs(c *Claim, st Settlement) []any {
	verb, retry := "released", int64(0)
	if st.RetryIn > 0 {
		verb, retry = "retry", max(st.RetryIn.Milliseconds(), 1)
	}
	args := []any{c.ID, c.token, retry, eventLine(Event{Verb: verb, Detail: st.Detail}), len(st.Results), st.Defect}
	return append(args, resultArgs(st.Results)...)
}

// resultArgs are index and result of each recipient, as scripts read them.
func resultArgs(results map[int]Result) (args []any) {
	for n, r := range results {
		if r.At.IsZero() {
			r.At = time.Now()
		}
		b, _ := json.Marshal(storedResult{Outcome: r.Outcome, Detail: r.Detail, At: r.At.UnixMilli(), Reported: r.Reported})
		args = append(args, n, b)
	}
	return args
}

// settleBatch settles attempts of one shard. After a panic it settles each by itself, so that the panic costs one outcome.
func (s *Store) settleBatch(at nodes.Shard, batch []*settling) error {
	err := s.nodes.Guard("the settling of a batch of releases", func() error { s.settleAll(at, batch); return nil })
	for _, x := range batch {
		if err != nil && len(batch) > 1 {
			s.settleBatch(at, []*settling{x})
		} else if err != nil {
			x.err = err
		}
	}
	return nil
}

// settleAll settles attempts of one shard.
func (s *Store) settleAll(at nodes.Shard, batch []*settling) {
	ctx, cancel := context.WithTimeout(context.Background(), nodes.IOTimeout)
	defer cancel()
	more := 0
	for _, x := range batch {
		if x.more {
			more++
		}
	}
	token, until := holdid.Random(16), time.Now().Add(s.lease)
	args := []any{s.recordTime().Milliseconds(), more, s.lease.Milliseconds(), token, claimContent}
	for _, x := range batch {
		args = append(args, x.args...)
	}
	words, rows, err := settleAnswer(s.nodes.Run(ctx, at, settleScript, args...).Slice())
	if err == nil && len(words) != len(batch) {
		err = fmt.Errorf("redis answered %d times for %d attempts", len(words), len(batch))
	}
	claims, _ := s.claimed(rows, token, until) // of what is damaged Claim tells
	for n, x := range batch {
		if x.err = nodes.Explain(err); err == nil {
			x.err = wordOf(words[n], x.id)
		}
		if x.more && x.err == nil && len(claims) > 0 {
			x.next, claims = claims[0], claims[1:]
		}
	}
	for _, c := range claims {
		s.GiveBack(ctx, c)
	}
}

// settleAnswer cuts the answer of settleScript into its parts.
func settleAnswer(parts []any, err error) (words, rows []any, _ error) {
	if err == nil && len(parts) == 2 {
		words, _ = parts[0].([]any)
		rows, _ = parts[1].([]any)
	}
	return words, rows, err
}

// wordOf makes of a script's answer for one hold its outcome.
func wordOf(answer any, id string) error {
	if err, ok := answer.(error); ok {
		return fmt.Errorf("%s: %w", id, nodes.Explain(err))
	}
	word, _ := answer.(string)
	return outcome(word, id)
}

// recordTime is how long a record is kept: at least as long as the content of a recalled hold.
func (s *Store) recordTime() time.Duration { return max(s.opt.RecordRetention, s.opt.RecallRetention) }

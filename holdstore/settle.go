package holdstore

import (
	"context"
	"encoding/json"
	"time"
)

// Settlement is what one release attempt brought.
type Settlement struct {
	Results map[int]Result // by recipient index; only what changed
	RetryIn time.Duration  // 0: all is settled, the hold becomes released; else it is held again for so long
	Detail  string         // one line for the timeline: the MTA's reply with its queue ID, or why it is retried
}

// settleScript writes what an attempt brought.
// ARGV: id, token, retry ms, record ms, event, then index and result of each recipient that changed.
// Output: "ok", "lost", or "pending" (nothing left to retry was asked for, but a recipient is pending: all stays).
var settleScript = drain(`
local id, retry = ARGV[1], tonumber(ARGV[3])
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
local np = open(id)
for i = 6, #ARGV, 2 do
  local is = cjson.decode(ARGV[i + 1]).o == 'pending'
  if pending(id, ARGV[i]) and not is then np = np - 1 end
  if is and not pending(id, ARGV[i]) then np = np + 1 end
end
if retry == 0 and np > 0 then return 'pending' end
for i = 6, #ARGV, 2 do set(id, 'r' .. ARGV[i], ARGV[i + 1]) end
set(id, 'np', np)
note(id, ARGV[5])
redis.call('HDEL', P .. 'h:' .. id, 'tok')
if retry > 0 then
  hurry(now + retry)
  set(id, 'due', int(now + retry))
  move(id, 'releasing', 'held', now + retry)
  return 'ok'
end
move(id, 'releasing', 'released', now + ARGV[4])
each(id, drop)
live(id, false)
redis.call('SET', P .. 'late', get(id, 'late') or 0)
return 'ok'
`)

// Settle writes the results of an attempt; ErrLost when the lease is not ours any more (nothing is written).
// ErrNotNow: RetryIn is 0 although a recipient is pending (nothing is written either).
func (s *Store) Settle(ctx context.Context, c *Claim, st Settlement) error {
	verb, retry := "released", int64(0)
	if st.RetryIn > 0 {
		verb, retry = "retry", max(st.RetryIn.Milliseconds(), 1)
	}
	args := []any{c.token, retry, s.recordTime().Milliseconds(), eventLine(Event{Verb: verb, Detail: st.Detail})}
	for n, r := range st.Results {
		if r.At.IsZero() {
			r.At = time.Now()
		}
		b, _ := json.Marshal(storedResult{Outcome: r.Outcome, Detail: r.Detail, At: r.At.UnixMilli(), Reported: r.Reported})
		args = append(args, n, b)
	}
	return s.word(ctx, settleScript, c.ID, args...)
}

// recordTime is how long a record is kept: at least as long as the content of a recalled hold.
func (s *Store) recordTime() time.Duration { return max(s.opt.RecordRetention, s.opt.RecallRetention) }

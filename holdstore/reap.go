package holdstore

import (
	"context"
	"strings"
)

const (
	reapBatch = 100 // holds per script: one run must not keep the others waiting
	scanBatch = 500 // keys looked at per Reap in the slow walk over everything
)

// Reaped counts what one Reap did.
type Reaped struct{ LeasesExpired, RecordsForgotten, OrphansDropped int }

// reapScript takes expired leases back and forgets expired records. ARGV: at most how many of each, event.
// Output: {leases, records}
var reapScript = drain(`
local leases, records = 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:releasing', '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
  leases = leases + 1
  if get(id, 'state') ~= 'releasing' then
    redis.call('ZREM', P .. 'z:releasing', id)
  else
    hurry(num(id, 'due'))
    move(id, 'releasing', 'held', num(id, 'due'))
    redis.call('HDEL', P .. 'h:' .. id, 'tok')
    note(id, ARGV[2])
  end
end
for _, st in ipairs({'released', 'recalled'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'z:' .. st, '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
    records = records + 1
    if get(id, 'state') == st then forget(id) else redis.call('ZREM', P .. 'z:' .. st, id) end
  end
end
return {leases, records}
`)

// repairScript puts a hold that no state's set knows back to where a loop meets it: one that is releasing without
// a lease would otherwise be stuck for ever. ARGV: record ms, ids... Output: how many were mended.
var repairScript = drain(`
local mended = 0
for i = 2, #ARGV do
  local id, state = ARGV[i], get(ARGV[i], 'state')
  if state and not redis.call('ZSCORE', P .. 'z:' .. state, id) then
    mended = mended + 1
    if state == 'held' then redis.call('ZADD', P .. 'z:held', get(id, 'due'), id)
    elseif state == 'releasing' then redis.call('ZADD', P .. 'z:releasing', int(now), id)
    else redis.call('ZADD', P .. 'z:' .. state, int(now + ARGV[1]), id) end
  end
end
return mended
`)

// Reap takes expired leases back to held, forgets expired records, and mends what no state knows.
// Bounded work per call: call it every few seconds.
func (s *Store) Reap(ctx context.Context) (Reaped, error) {
	counts, err := s.run(ctx, reapScript, reapBatch, eventLine(Event{Verb: "lease expired"})).Int64Slice()
	if err != nil || len(counts) != 2 {
		return Reaped{}, explain(err)
	}
	done := Reaped{LeasesExpired: int(counts[0]), RecordsForgotten: int(counts[1])}
	node, err := s.node(ctx)
	if err != nil {
		return done, explain(err)
	}
	names, cursor, err := node.Scan(ctx, s.scanned.Load(), globQuote(s.keys.hold(""))+"*", scanBatch).Result()
	if err != nil {
		return done, explain(err)
	}
	s.scanned.Store(cursor)
	args := []any{s.recordTime().Milliseconds()}
	for _, name := range names {
		args = append(args, strings.TrimPrefix(name, s.keys.hold("")))
	}
	if len(names) > 0 {
		done.OrphansDropped, err = s.run(ctx, repairScript, args...).Int()
	}
	return done, explain(err)
}

// globQuote keeps Redis from reading a name as a pattern.
func globQuote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(name)
}

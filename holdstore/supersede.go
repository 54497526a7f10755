package holdstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// CutOff is the detail of a recipient's result when a release had been cut off before the recall: what the port took of it
// is not known. No further copy is sent, and nobody is told that none was.
const CutOff = "a release was cut off before, and may have sent it; no further copy leaves"

// back is the result of a recipient that is recalled.
const back = ticketing + `
-- takenBack makes a hold a recalled one, whose content stays for a while. Its owner is charged for it until then.
local function takenBack(id, contentTime, recordMost)
  local owner = string.match(get(id, 'o') or '', '^%S+') or ''
  move(id, 'held', 'recalled', now + recordTime(owner, tonumber(recordMost), tonumber(contentTime)))
  each(id, function(key) redis.call('PEXPIRE', key, contentTime) end)
  redis.call('ZADD', P .. 'debts', int(now + contentTime), id)
  waits(id, false)
end
local function back(id)
  if get(id, 'cut') then return cjson.encode({o = 'unknown', d = '` + CutOff + `', t = now}) end
  return cjson.encode({o = 'recalled', t = now})
end
local function wasBack(r)
  local o = cjson.decode(r)
  return o.o == 'recalled' or o.o == 'unknown' and o.d == '` + CutOff + `'
end
`

// takingBack are the moves of recall and restore, for all scripts that make them. Whoever takes back what is recalled already
// relies on that from then on: the field by, of a hold that was only replaced, goes.
// takeBack returns "ok", "partly" (some recipients have it already, or may have), "none", "late", or the state that forbids
// it; giveBack "ok", "gone", "none", or the state.
const takingBack = back + `
local function takeBack(id, contentTime, recordMost)
  local state = get(id, 'state')
  if not state then return 'none' end
  if state == 'recalled' then
    redis.call('HDEL', P .. 'h:' .. id, 'by')
    return state
  end
  if state ~= 'held' or open(id) < 1 then return 'late' end
  noTicket(id)
  local word = 'ok'
  for n = 0, num(id, 'nrcpt') - 1 do
    local r = get(id, 'r' .. n)
    local was = r and cjson.decode(r).o or 'pending'
    if was == 'pending' then set(id, 'r' .. n, back(id)) end
    if was == 'sent' or get(id, 'cut') then word = 'partly' end
  end
  set(id, 'np', 0)
  takenBack(id, contentTime, recordMost)
  return word
end
-- heldAgain undoes what took the hold back, for the recipients of whom undone(n) is true.
local function heldAgain(id, due, undone)
  local state = get(id, 'state')
  if not state then return 'none' end
  if state ~= 'recalled' then return state end
  local gone = false
  each(id, function(key) if redis.call('EXISTS', key) == 0 then gone = true end end)
  if gone then return 'gone' end
  each(id, function(key) redis.call('PERSIST', key) end)
  local np = 0
  for n = 0, num(id, 'nrcpt') - 1 do
    if undone(n) then redis.call('HDEL', P .. 'h:' .. id, 'r' .. n) end
    if pending(id, n) then np = np + 1 end
  end
  redis.call('HDEL', P .. 'h:' .. id, 'by')
  redis.call('ZREM', P .. 'debts', id)
  set(id, 'np', np, 'due', int(due))
  hurry(due)
  move(id, 'recalled', 'held', due)
  waits(id, true)
  return 'ok'
end
local function giveBack(id, mays)
  if mays == '' and hasProof(id) then return 'nokey' end
  local word = heldAgain(id, now + num(id, 'grace'), function(n)
    local r = get(id, 'r' .. n)
    return r and wasBack(r)
  end)
  if word == 'ok' then ticket(id, mays) end
  return word
end
`

// replacing is the part of a commit that takes back what the new hold replaces; what was too late stays as it is. The field by
// of an old one says which hold replaced it, when it was due, and which recipients were pending.
const replacing = takingBack + `
local function replace(id, what, contentTime, recordTime)
  local taken = {}
  for _, old in ipairs(what.ids) do
    local by = {id, get(old, 'due')}
    for n = 0, num(old, 'nrcpt') - 1 do
      if pending(old, n) then by[#by + 1] = n end
    end
    local word = takeBack(old, contentTime, recordTime)
    if word == 'ok' or word == 'partly' then
      set(old, 'by', table.concat(by, ' '))
      taken[#taken + 1] = old
      note(old, what.event)
      audit(old, 'recall', what.by, 'mail with Supersedes', 'replaced by ' .. id, '')
    end
  end
  if #taken > 0 then set(id, 'replaced', table.concat(taken, ' ')) end
end
`

// unreplacing undoes it for a commit that is fenced off, unless somebody else did something to the old hold meanwhile, or was
// told that it is recalled.
const unreplacing = takingBack + `
local function unreplace(id, mays)
  for old in string.gmatch(get(id, 'replaced') or '', '%S+') do
    local by, due, rest = string.match(get(old, 'by') or '', '^(%S+) (%d+)(.*)$')
    if by == id then
      local undone = {}
      for n in string.gmatch(rest, '%d+') do undone[tonumber(n)] = true end
      if heldAgain(old, tonumber(due), function(n) return undone[n] end) == 'ok' then
        ticket(old, mays)
        note(old, '{"verb":"restored","detail":"what was to replace it is not held"}')
      end
    end
  end
end
`

// replaced lists those of some holds that are in the shard of the commit.
func (p *Put) replaced(ids []string) (here []string) {
	for _, old := range ids {
		if p.s.nodes.Of(old) == p.at {
			here = append(here, old)
		}
	}
	return here
}

// takenBefore lists the recipients of a replaced hold that had been recalled before it was replaced.
func takenBefore(f map[string]string, h *Hold) (indexes []int) {
	by := strings.Fields(f["by"])
	for n, r := range h.Results {
		recalled := r.Outcome == TakenBack || r.Outcome == Unknown && r.Detail == CutOff
		if recalled && (len(by) < 2 || !slices.Contains(by[2:], strconv.Itoa(n))) {
			indexes = append(indexes, n)
		}
	}
	return indexes
}

// replacing is what the commit script takes back in its shard: JSON, or empty.
func (p *Put) replacing(t Terms) []byte {
	here := p.replaced(t.Replaces)
	if here == nil {
		return nil
	}
	by := p.submitter()
	b, _ := json.Marshal(map[string]any{"ids": here, "by": by, "event": eventLine(Event{Verb: "recalled", By: by, Detail: "replaced by " + p.id})})
	return b
}

func (p *Put) submitter() string {
	if p.sub.Login == "" {
		return "<" + p.sub.Sender.Address + ">"
	}
	return "login " + p.sub.Login
}

// replaceElsewhere takes back what the new hold replaces in other shards, where no script can do it in the same step: a
// crash between the two sends both messages, never none.
func (p *Put) replaceElsewhere(ctx context.Context, t Terms) error {
	for _, old := range t.Replaces {
		if p.s.nodes.Of(old) == p.at {
			continue
		}
		_, err := p.s.Recall(ctx, old, Act{By: p.submitter(), From: "mail with Supersedes", Reason: "replaced by " + p.id})
		if err != nil && !errors.Is(err, ErrTooLate) && !errors.Is(err, ErrNotNow) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

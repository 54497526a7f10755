-- Writes what attempts brought, and then claims for those who go on. What is done loses its content; its record goes
-- packed onto a shelf where it can (shelf.go), and stays in its hash otherwise. What is wrong with one attempt harms no
-- other.
--
-- KEYS: as lib
-- ARGV: record ms; what claim wants (4); then of each attempt: id, token, retry ms, event, how many results, defect,
--   what a record is packed into or "", how many fields the hold had when it was claimed, what precedes the packed
--   record on a shelf or "", and index and result of each
-- Returns: {a word for each, or an error; what claim returned}. The words: "ok"; "lost"; "pending": nothing left to
--   retry was asked for, but a recipient is pending: all stays
local FIRST = 9 -- of an attempt's arguments, where its results begin
local pieces, late, count = {}, nil, 0
-- packing leaves of a record its numbers, and x in place of all that x has.
local function packing(id, x)
  unset(id, 'tok', 'attempts', 'late')
  local o = holdOf(id)
  local line = {o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix}
  return {'p', table.concat(line, ' ') .. '\n', 'x', int(now) .. ' ' .. x}
end
local function settle(a, last)
  local id, retry = ARGV[a], tonumber(ARGV[a + 2])
  local hold, changed = holdOf(id), {}
  if not hold or hold.state ~= 'releasing' or hold.tok ~= ARGV[a + 1] then return 'lost' end
  local np = number(hold.np) or num(id, 'nrcpt')
  if ARGV[a + 5] ~= '' then
    local never = defect(P .. 'h:' .. id, ARGV[a + 5])
    if never then retry = never - now end
  end
  local new = {}
  for i = a + FIRST, last, 2 do
    local is = cjson.decode(ARGV[i + 1]).o == 'pending'
    if pending(id, ARGV[i]) ~= is then np = np + (is and 1 or -1) end
    new[tonumber(ARGV[i])] = is and 1 or 0
    changed[#changed + 1], changed[#changed + 2] = 'r' .. ARGV[i], ARGV[i + 1]
  end
  if retry == 0 and np > 0 then -- by the results: a wrong counter would have the message sent again and again
    np = 0
    for n = 0, num(id, 'nrcpt') - 1 do np = np + (new[n] or pending(id, n) and 1 or 0) end
    if np > 0 then return 'pending' end
  end
  -- What was noted of a hold since it was claimed, that somebody relies on it, and progress are other fields: then it
  -- stays as it is.
  local pack = retry == 0 and ARGV[a + 6] ~= '' and hold.fields == tonumber(ARGV[a + 7])
  if not pack then
    for _, new in ipairs({'np', np, 'tl', noted(id, ARGV[a + 3])}) do changed[#changed + 1] = new end
    unset(id, 'tok')
  end
  if retry > 0 then
    for _, new in ipairs({'state', 'held', 'due', int(now + retry)}) do changed[#changed + 1] = new end
    write(id, changed)
    move(id, 'releasing', 'held', now + retry)
    return 'ok'
  end
  local owner, content, record = string.match(hold.o or '', '^(%S+) (%d+) (%d+)$')
  local keep = tonumber(ARGV[1])
  if owner then
    keep = recordTime(owner, keep, CROWDED_RECORD)
    owe(owner, -1, -(content + record))
  end
  each(id, function(piece) pieces[#pieces + 1] = piece end)
  counted(id, -1)
  stands('z:releasing', id, false)
  late = hold.late or 0
  local shelf = pack and ARGV[a + 8] ~= '' and shelfFor(id, now + keep)
  if shelf then
    shelve(id, shelf, now + keep, shelfFront(now + keep, now) .. ARGV[a + 8] .. ARGV[a + 6])
    count = count + 1
    return 'ok'
  end
  if pack then changed = packing(id, ARGV[a + 6]) end
  changed[#changed + 1], changed[#changed + 2] = 'state', 'released'
  if owner then changed[#changed + 1], changed[#changed + 2] = 'o', owner .. ' - ' .. record end
  write(id, changed)
  stands('z:released', id, now + keep)
  return 'ok'
end
local words, a = {}, 6
while ARGV[a] do
  local last = a + FIRST - 1 + 2 * ARGV[a + 4]
  local fine, word = pcall(settle, a, last)
  words[#words + 1] = (fine or type(word) == 'table') and word or {err = word}
  a = last + 1
end
written()
if late then
  if count > 0 then redis.call('INCRBY', P .. 'shelved', count) end
  for i = 1, #pieces, 200 do redis.call('DEL', unpack(pieces, i, math.min(i + 199, #pieces))) end
  redis.call('SET', P .. 'late', late)
end
if ARGV[2] == '0' then return {words, {}} end
local fine, rows = pcall(claim, ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]))
return {words, fine and rows or {}}

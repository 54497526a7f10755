-- replace is the part of a commit that takes back what the new hold replaces; what was too late stays as it is. The
-- field by of an old one says which hold replaced it, when it was due, and which recipients were pending. unreplace
-- undoes it for a commit that is fenced off, unless somebody else did something to the old hold meanwhile, or was told
-- that it is recalled.
--
-- KEYS: as lib
-- ARGV: none
-- Returns: nothing; defines replace and unreplace
local function replace(id, what, contentTime, recordTime)
  local taken = {}
  for _, old in ipairs(what.ids) do
    local by = {id, int(num(old, 'due'))}
    for n = 0, num(old, 'nrcpt') - 1 do
      if pending(old, n) then by[#by + 1] = n end
    end
    local word = takeBack(old, contentTime, recordTime, false, what.event)
    if word == 'ok' or word == 'partly' then
      set(old, 'by', table.concat(by, ' '))
      taken[#taken + 1] = old
      audit(old, 'recall', what.by, 'mail with Supersedes', 'replaced by ' .. id, '')
    end
  end
  if #taken > 0 then set(id, 'replaced', table.concat(taken, ' ')) end
end
local function unreplace(id, mays)
  for old in string.gmatch(get(id, 'replaced') or '', '%S+') do
    local by, due, rest = string.match(get(old, 'by') or '', '^(%S+) (%d+)(.*)$')
    if by == id and not lacking(old, mays) then
      local undone = {}
      for n in string.gmatch(rest, '%d+') do undone[tonumber(n)] = true end
      if heldAgain(old, tonumber(due), function(n) return undone[n] end) == 'ok' then
        ticket(old, mays)
        note(old, '{"verb":"restored","detail":"what was to replace it is not held"}')
      end
    end
  end
  written()
end

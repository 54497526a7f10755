package holdstore

import "context"

// progressScript writes what one of several transactions of an attempt brought; the attempt goes on.
// ARGV: id, token, then index and result of each. Output: "ok" or "lost".
var progressScript = drain(`
local id = ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
local np = open(id)
for i = 3, #ARGV, 2 do
  local is = cjson.decode(ARGV[i + 1]).o == 'pending'
  if pending(id, ARGV[i]) ~= is then np = np + (is and 1 or -1) end
  set(id, 'r' .. ARGV[i], ARGV[i + 1])
end
set(id, 'np', np)
return 'ok'
`)

// Progress writes results of an attempt that goes on, so that a crash repeats no more than is not written yet. ErrLost
// when the lease is not ours any more (nothing is written).
func (s *Store) Progress(ctx context.Context, c *Claim, results map[int]Result) error {
	return s.word(ctx, progressScript, c.ID, append([]any{c.token}, resultArgs(results)...)...)
}

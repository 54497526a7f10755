package holdstore

import (
	"context"
	"strings"
)

// Jobs wait in two lanes, so that what other sites ask for never delays what our own users do. Ours are in the set jobs, by
// when they are due. Those that others asked for have an ID that begins with "in:ASKER:"; each asker has a set of their own,
// jobs:in:ASKER, and jobs:in has the askers by when their turn is: when their first job is due, or when one was taken last. So
// askers take turns, however many jobs one of them has.

// Lane is where jobs are claimed.
type Lane struct {
	theirs bool
	busy   []string
}

// OurLane has the jobs of our own users.
var OurLane = Lane{}

// TheirLane has the jobs that other sites asked for; those of busy askers are passed by.
func TheirLane(busy ...string) Lane { return Lane{theirs: true, busy: busy} }

// AskedBy begins the ID of a job that somebody else asked for.
func AskedBy(asker string) string { return "in:" + strings.ReplaceAll(asker, ":", "_") + ":" }

// Asker is who asked for a job; "": our own users.
func (j *Job) Asker() string {
	rest, theirs := strings.CutPrefix(j.ID, "in:")
	if !theirs {
		return ""
	}
	asker, _, _ := strings.Cut(rest, ":")
	return asker
}

// lanes are the moves of scripts with jobs.
const lanes = `
local function lane(id)
  local asker = string.match(id, '^in:([^:]*):')
  return asker and P .. 'jobs:in:' .. asker or P .. 'jobs', asker
end
-- dueAt says when a job is due.
local function dueAt(id, score)
  local set, asker = lane(id)
  redis.call('ZADD', set, int(score), id)
  if not asker then return end
  local turn = redis.call('ZSCORE', P .. 'jobs:in', asker)
  if not turn or tonumber(turn) > math.max(score, now) then redis.call('ZADD', P .. 'jobs:in', int(math.max(score, now)), asker) end
end
local function undue(id)
  local set, asker = lane(id)
  redis.call('ZREM', set, id)
  if asker and redis.call('EXISTS', set) == 0 then redis.call('ZREM', P .. 'jobs:in', asker) end
end
-- park keeps a job of either lane among ours, behind all that are ever due; unpark makes it due.
local function park(id, never)
  undue(id)
  redis.call('ZADD', P .. 'jobs', never, id)
end
local function unpark(id)
  redis.call('ZREM', P .. 'jobs', id)
  dueAt(id, now)
end
local function firstDue(set) return redis.call('ZRANGEBYSCORE', set, '-inf', int(now), 'LIMIT', 0, 1)[1] end
-- theirs is the job whose asker's turn it is, but for busy ones.
local function theirs(busy)
  for _, asker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'jobs:in', '-inf', int(now), 'LIMIT', 0, 50)) do
    local set = P .. 'jobs:in:' .. asker
    local id = not busy[asker] and firstDue(set)
    if id then
      redis.call('ZADD', P .. 'jobs:in', int(now), asker)
      return id
    end
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if not first then
      redis.call('ZREM', P .. 'jobs:in', asker)
    elseif tonumber(first) > now then
      redis.call('ZADD', P .. 'jobs:in', first, asker)
    end
  end
end
`

// claimIn claims in some lanes of the whole store, all of them when none is named: the job that has been due for longest, or of
// askers the one whose turn it is.
func (s *Store) claimIn(ctx context.Context, lane Lane) (*Job, error) {
	set := jobsKey
	if lane.theirs {
		set = askersKey
	}
	if len(s.nodes.Shards) == 1 {
		return s.claimJobAt(ctx, s.nodes.Shards[0], lane)
	}
	all, now, err := s.nodes.Heads(ctx, set)
	for _, h := range all {
		if h.Score > float64(now.UnixMilli()) {
			break
		}
		j, wrong := s.claimJobAt(ctx, h.At, lane)
		if j != nil {
			return j, nil
		}
		if wrong != nil {
			err = wrong
		}
	}
	return nil, err
}

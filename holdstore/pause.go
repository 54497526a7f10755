package holdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// ErrPaused says that somebody has stopped the releases of all gateways on this store; nothing is wrong with it.
var ErrPaused = errors.New("releases are paused")

// Pause says who stopped the releases, when and why.
type Pause struct {
	At time.Time
	Actor
	Partly bool // servers that were away then release what they keep
}

// pauseScript stops the releases of a shard: a claim sees it in its own script, so that none comes after it. A pause
// without a reason leaves the words of an earlier one, and writes its moment again: WAIT counts replicas that have the
// writes of its own connection only. ARGV: by, from, reason, "audit" or "". Output: 1 when it changed anything.
var pauseScript = drain(`
local at = redis.pcall('HGET', P .. 'paused', 'at')
if ARGV[3] == '' and type(at) == 'string' then
  redis.call('HSET', P .. 'paused', 'at', at)
  return 0
end
redis.call('DEL', P .. 'paused')
redis.call('HSET', P .. 'paused', 'at', int(now), 'by', ARGV[1], 'from', ARGV[2], 'reason', ARGV[3])
if ARGV[4] == 'audit' then audit('', 'pause', ARGV[1], ARGV[2], ARGV[3], '') end
return 1
`)

// resumeScript lets a shard's releases go on. ARGV as above. Output: 1 when they were paused.
var resumeScript = drain(`
local old = redis.call('DEL', P .. 'paused')
if ARGV[4] == 'audit' and old == 1 then audit('', 'resume', ARGV[1], ARGV[2], ARGV[3], '') end
redis.call('PUBLISH', P .. 'wake', int(now))
return old
`)

// Pause stops the releases of all gateways on the store: from its return on, none begins. Held mail keeps its due
// moment, what is being sent finishes, and recalls work as ever. A second pause replaces the first one's words if it
// has a reason, and else changes nothing; Pause says whether it changed anything. ErrPartial: what is kept by the
// servers that are away will be released when they are back, until Pause is called again.
func (s *Store) Pause(ctx context.Context, a Actor) (changed bool, err error) {
	return s.everywhere(ctx, pauseScript, a)
}

// Resume lets the releases go on, what is overdue first. It says whether they were paused. ErrPartial: on the servers
// that are away they may still be.
func (s *Store) Resume(ctx context.Context, a Actor) (was bool, err error) {
	return s.everywhere(ctx, resumeScript, a)
}

// everywhere runs a script of one act in every shard that can be reached; one line in the trail tells of all. It says
// whether any changed. Somebody relies on it, so replicas have it too; those that are missing are waited for once.
func (s *Store) everywhere(ctx context.Context, sc *nodes.Script, a Actor) (changed bool, err error) {
	shards, partly := s.nodes.Visible(ctx)
	run, audit, failed := s.nodes.RunDurable, "audit", &nodes.Failures{}
	for _, at := range shards {
		did, wrong := int64(0), s.nodes.Skipped(ctx, at)
		if wrong == nil || errors.Is(wrong, nodes.ErrFewReplicas) {
			cmd := run(ctx, at, sc, a.By, a.From, a.Reason, audit)
			did, _ = cmd.Val().(int64) // with too few replicas there is an error as well
			wrong = cmd.Err()
			s.nodes.NoteSilence(ctx, at, wrong)
		}
		switch {
		case errors.Is(wrong, nodes.ErrFewReplicas):
			run, err = s.nodes.Run, fmt.Errorf("it is done, but a failover now would undo it: %w", nodes.Explain(wrong))
		case wrong != nil:
			failed.Add(nodes.Explain(wrong))
			continue
		}
		failed.Some = true
		if did == 1 {
			changed, audit = true, ""
		}
	}
	return changed, cmp.Or(err, failed.Err(), partly)
}

// Paused returns who paused the releases; nil when nobody did. With ErrPartial it tells of the servers that answer.
func (s *Store) Paused(ctx context.Context) (p *Pause, err error) {
	shards, partly := s.nodes.Visible(ctx)
	pipe := s.nodes.Client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(shards))
	for n, at := range shards {
		replies[n] = pipe.HGetAll(ctx, pausedKey(at))
	}
	if _, err := pipe.Exec(ctx); err != nil && !nodes.WrongType(err) {
		return nil, nodes.Explain(err)
	}
	goOn := false
	for _, r := range replies {
		if nodes.WrongType(r.Err()) { // the releases are paused all the same
			p = cmp.Or(p, &Pause{Actor: Actor{By: "somebody unknown"}})
			continue
		}
		switch f := r.Val(); {
		case len(f) == 0:
			goOn = true
		case p == nil:
			p = &Pause{At: moment(f["at"]), Actor: Actor{By: f["by"], From: f["from"], Reason: f["reason"]}}
		}
	}
	if p != nil {
		p.Partly = goOn
	}
	return p, partly
}

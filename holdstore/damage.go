package holdstore

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// What is damaged in the store costs only itself.
//
//
// Each is told once, by OnDamage, and shown by Aside, Parked and Fsck until somebody has looked.

const damageLines = 20 // of one Reap

// OnDamage sets what is told of each damaged record and key, once for all clients of the store. Call it before the
// store is used.
func (s *Store) OnDamage(tell func(line string)) { s.damaged = tell }

// sharedKeys are names and types of the keys that all holds of a shard share, for reapScript.
var sharedKeys = func() (all []any) {
	for _, k := range kinds {
		if !strings.HasSuffix(k.begin, ":") && k.is != "" {
			all = append(all, k.begin, k.is)
		}
	}
	all = append(all, "jobs:in", "zset", "jobs:us", "zset", "jobs:op", "zset", "claws", "zset")
	for _, st := range allStates {
		all = append(all, "z:"+string(st), "zset")
	}
	return all
}()

// typeOf is the type of a key, by what its name has behind the shard; "" where any type may be.
func typeOf(name string) string {
	n := slices.IndexFunc(kinds, func(k keyKind) bool { return strings.HasPrefix(name, k.begin) })
	if n < 0 {
		return ""
	}
	return kinds[n].is
}

// asideScript sets a key aside unless it has the right type, and for the command incrby is a number. ARGV: name, right
// type, command. Output: 1 when the command is to be repeated.
var asideScript = drain(`
local key = P .. ARGV[1]
local is = redis.call('TYPE', key).ok
local wrong = is ~= 'none' and is ~= ARGV[2] or
  is == 'string' and ARGV[3] == 'incrby' and not string.find(redis.call('GET', key), '^-?%d+$')
return (is == 'none' or wrong and setAside(key)) and 1 or 0
`)

// healer sets aside what plain commands meet of another type, as the scripts do by themselves.
type healer struct{ s *Store }

// DialHook changes nothing.
func (healer) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook repeats a command that met a key of another type, once that is set aside.
func (h healer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		again, err := h.healed(ctx, cmd, next(ctx, cmd))
		if !again {
			return err
		}
		cmd.SetErr(nil)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook repeats those of its commands that met a key of another type. In a transaction it repeats
// nothing.
func (h healer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		// What failed on the way to Redis is in err, and in no command.
		met := func(cmd redis.Cmder) bool { return nodes.WrongType(cmd.Err()) }
		if cmds[0].Name() == "multi" || !slices.ContainsFunc(cmds, met) {
			return err
		}
		for _, cmd := range cmds {
			again, left := h.healed(ctx, cmd, cmd.Err())
			cmd.SetErr(left)
			if !again {
				continue
			}
			if wrong := next(ctx, []redis.Cmder{cmd}); wrong != nil && cmd.Err() == nil {
				cmd.SetErr(wrong)
			}
		}
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				return cmd.Err()
			}
		}
		return nil
	}
}

// healed sets aside the key that a command met, when it is of another type than it should be, and says whether the
// command is to be repeated; else what its error is.
func (h healer) healed(ctx context.Context, cmd redis.Cmder, err error) (again bool, left error) {
	if err == nil || !nodes.WrongType(err) || len(cmd.Args()) < 2 {
		return false, err
	}
	key, _ := cmd.Args()[1].(string)
	at, name := h.s.shardOf(key)
	is := typeOf(name)
	switch {
	case at == "" || is == "":
		return false, err
	case ctx.Value(observing{}) != nil:
		return false, nil // as if it were not there
	}
	n, wrong := h.s.nodes.Run(ctx, at, asideScript, name, is, cmd.Name()).Int()
	if wrong != nil || n == 0 {
		return false, err
	}
	return true, nil
}

// observing marks a context whose commands change nothing: those of Fsck without repair.
type observing struct{}

// Aside lists names of keys that were set aside, at most some. With ErrPartial there may be more.
func (s *Store) Aside(ctx context.Context, most int) ([]string, error) {
	all, err := s.gather(ctx, func(pipe redis.Pipeliner, at nodes.Shard) []*redis.StringSliceCmd {
		return []*redis.StringSliceCmd{pipe.ZRange(ctx, string(at)+"aside", 0, int64(most-1))}
	})
	return all[:min(len(all), most)], err
}

// parkScript parks a claimed hold of which Go can't read something. ARGV: id, token, why. Output: "ok" or "lost".
var parkScript = drain(`
local id = ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
parkDamaged(id, ARGV[3])
return 'ok'
`)

// parkDamaged parks a claimed hold whose record is damaged.
func (s *Store) parkDamaged(ctx context.Context, id, token string, why error) {
	_ = s.word(ctx, parkScript, id, token, Reason(why)) // else its lease ends, and it is claimed again
}

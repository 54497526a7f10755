package holdstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Fsck looks at every key of the store, in pages, and yields what does not fit; with repair it repairs
// what can be. It works while the daemon runs: each thing is looked at, and repaired, in one step of Redis. It never
// deletes a held message, nor content in a hurry: that of no hold gets the time of recalled content to live. progress
// may be nil. The last that it yields may be ErrPartial: what the other servers have was looked at.
func (s *Store) Fsck(ctx context.Context, repair bool, progress func(looked, of int)) iter.Seq2[Fault, error] {
	return func(yield func(Fault, error) bool) {
		f := &fsck{s: s, repair: repair, progress: progress, yield: yield, told: map[string]bool{}}
		if err := f.run(ctx); err != nil && !errors.Is(err, errFsckEnough) {
			yield(Fault{}, err)
		}
	}
}

func (f *fsck) run(ctx context.Context) error {
	shards, partly := f.s.nodes.Readable(ctx)
	if len(shards) == 0 {
		return partly
	}
	if !f.repair {
		ctx = context.WithValue(ctx, observing{}, true)
	}
	for _, look := range []func(context.Context, []nodes.Shard) error{f.schemas, f.shared, f.allTypes, f.allSets,
		f.allKeys, f.allCounters} {
		if err := look(ctx, shards); err != nil {
			return err
		}
	}
	return partly
}

// allTypes looks at the types of all keys: what has another one is out of the way of the other checks then.
func (f *fsck) allTypes(ctx context.Context, shards []nodes.Shard) error {
	return f.servers(ctx, shards, f.types)
}

// allKeys looks at what all keys say.
func (f *fsck) allKeys(ctx context.Context, shards []nodes.Shard) error {
	return f.servers(ctx, shards, f.keys)
}

// schemas looks for shards whose schema was lost while others have theirs; whoever comes first writes it again.
func (f *fsck) schemas(ctx context.Context, shards []nodes.Shard) error {
	lost, err := f.s.nodes.LostSchemas(ctx, shards)
	if err != nil {
		return err
	}
	if err := f.s.nodes.AdmitAll(ctx, shards); err != nil || len(lost) == len(shards) {
		return err
	}
	for _, at := range lost {
		if err := f.tell(Fault{Name: "shard " + string(at), What: "its schema was not there",
			Fix: "it is written again"}); err != nil {
			return err
		}
	}
	return nil
}

// shared looks at the types of what all holds share, before anything reads it.
func (f *fsck) shared(ctx context.Context, shards []nodes.Shard) error {
	return each(ctx, shards, func(ctx context.Context, at nodes.Shard) error {
		for pair := range slices.Chunk(sharedKeys, 2) {
			name, is := pair[0].(string), pair[1].(string)
			if err := f.look(ctx, at, checkTypeScript, "", []string{name}, is); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fsck) allSets(ctx context.Context, shards []nodes.Shard) error {
	return each(ctx, shards, f.sets)
}

func (f *fsck) allCounters(ctx context.Context, shards []nodes.Shard) error {
	for _, look := range []func(context.Context, nodes.Shard) error{f.counters, f.shelved, f.owners, f.remembered} {
		if err := each(ctx, shards, look); err != nil {
			return err
		}
	}
	return nil
}

// sets looks for members of a shard's sets that should not be there.
func (f *fsck) sets(ctx context.Context, at nodes.Shard) error {
	for _, set := range []string{"z:held", "z:releasing", "z:released", "z:recalled", "ends", "jobs"} {
		w := &walk{s: f.s, set: string(at) + set, min: "-inf", max: "+inf", page: findPage}
		m := &merge{walks: []*walk{w}}
		for {
			ids, err := m.next(ctx, findPage)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			if err := f.look(ctx, at, checkSetScript, "", ids, set); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyKind are keys whose names begin alike, with the check for them.
type keyKind struct {
	begin, what string
	check       *nodes.Script // nil: they are constant, or looked at otherwise
	is          string        // their type in Redis; "": any
}

var kinds = []keyKind{
	{"h:", "", checkHoldScript, "hash"},
	{"r:", "", checkShelfScript, "hash"},
	{"i:", "", checkIndexScript, "set"},
	{"b:", "piece ", checkPieceScript, "string"},
	{"j:", "job ", checkJobScript, "hash"},
	{"out:", "remembered out:", checkTimeScript, "hash"},
	{"x:", "tombstone ", checkTimeScript, "string"},
	{"rq:m:", "request m:", checkTimeScript, "zset"},
	{"rq:", "request ", checkTimeScript, "string"},
	{"in:m:", "remembered in:m:", checkTimeScript, "hash"},
	{"in:t:", "remembered in:t:", checkTimeScript, "zset"},
	{"in:u:", "remembered in:u:", checkTimeScript, "string"},
	{"in:n:", "remembered in:n:", checkTimeScript, "string"},
	{"cb:", "claw back ", checkTimeScript, "hash"},
	{"claws", "", nil, "zset"},
	{"turn:", "turn ", checkTimeScript, "string"},
	{"aside:", "", checkAsideScript, ""},
	{"co:", "remembered co:", checkTimeScript, "hash"},
	{"ci:", "remembered ci:", checkTimeScript, "hash"},
	{"cosince", "", nil, "string"},
	{"inq:", "", nil, "list"},
	{"inload", "", nil, "zset"},
	{"insum", "", nil, "hash"},
	{"own", "", nil, "hash"},
	{"debts", "", nil, "zset"},
	{"ends", "", nil, "zset"},
	{"shelved", "", nil, "string"},
	{"z:", "", nil, "zset"},
	{"jobs", "", nil, "zset"},
	{"log", "", nil, "stream"},
	{"bytes", "", nil, "string"},
	{"late", "", nil, "string"},
	{"secret", "", nil, "string"},
	{"schema", "", nil, "string"},
	{"u", "", nil, "hash"},
	{"ages", "", nil, "hash"},
	{"probe", "", nil, "string"},
	{"paused", "", nil, ""}, // whatever it is, its presence pauses
	{"aside", "", nil, "zset"},
	{"damage", "", nil, "list"},
	{"tokens", "", nil, "hash"},
	{"graces", "", nil, "hash"},
	{"ended:", "remembered ended:", checkTimeScript, "zset"},
}

// keys sorts names by shard and kind, and checks them.
func (f *fsck) keys(ctx context.Context, names []string) error {
	type group struct {
		at   nodes.Shard
		kind int
	}
	groups := map[group][]string{}
	for _, name := range names {
		at, rest := f.s.shardOf(name)
		kind := slices.IndexFunc(kinds, func(k keyKind) bool { return strings.HasPrefix(rest, k.begin) })
		switch {
		case at == "":
			if err := f.tell(Fault{Name: name, What: "it is in a shard that this store does not have"}); err != nil {
				return err
			}
		case kind < 0:
			if err := f.tell(Fault{Name: name,
				What: "no version of recall-milter up to this one makes such a key"}); err != nil {
				return err
			}
		case kinds[kind].check != nil:
			g := group{at, kind}
			groups[g] = append(groups[g], strings.TrimPrefix(rest, kinds[kind].begin))
		}
	}
	for g, some := range groups {
		k := kinds[g.kind]
		if err := f.look(ctx, g.at, k.check, k.what, some, k.begin); err != nil {
			return err
		}
		if k.begin == "i:" {
			if err := f.largeIndexes(ctx, g.at, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// types looks for keys of another type than their names say.
func (f *fsck) types(ctx context.Context, names []string) error {
	type group struct {
		at nodes.Shard
		is string
	}
	groups := map[group][]string{}
	for _, name := range names {
		at, rest := f.s.shardOf(name)
		if is := typeOf(rest); at != "" && is != "" {
			groups[group{at, is}] = append(groups[group{at, is}], rest)
		}
	}
	for g, some := range groups {
		if err := f.look(ctx, g.at, checkTypeScript, "", some, g.is); err != nil {
			return err
		}
	}
	return nil
}

// largeIndexes walks index sets that are too large for one script.
func (f *fsck) largeIndexes(ctx context.Context, at nodes.Shard, entries []string) error {
	pipe := f.s.nodes.Client.Pipeline()
	for _, e := range entries {
		pipe.SCard(ctx, indexKey(at, e))
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		return nodes.Explain(err)
	}
	for n, r := range replies {
		if r.(*redis.IntCmd).Val() <= largeIndex {
			continue
		}
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			var members []string
			members, cursor, err = f.s.nodes.Client.SScan(ctx, indexKey(at, entries[n]), cursor, "", findPage).Result()
			if err != nil {
				return nodes.Explain(err)
			}
			if err := f.look(ctx, at, checkMembersScript, "", members, entries[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Fault is something in the store that does not fit the rest of it.
type Fault struct {
	Name     string // of a hold, or of what else it is about: "index s123", "job ask:x"
	What     string
	Fix      string // what repair does, or did; empty: nothing can be done here
	Repaired bool
}

const (
	fsckScan = 1000 // keys that one SCAN looks at
	fsckPage = 100  // names that one script looks at: others wait some milliseconds for it
)

// fsck is one walk over the whole store.
type fsck struct {
	s        *Store
	repair   bool
	progress func(looked, of int)
	yield    func(Fault, error) bool
	told     map[string]bool // SCAN may show a key twice
	looked   int
	of       int
}

// errFsckEnough: the caller has enough.
var errFsckEnough = errors.New("enough")

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

// servers calls look with the names of all keys of the servers that have some shards.
func (f *fsck) servers(ctx context.Context, shards []nodes.Shard, look func(context.Context, []string) error) error {
	servers := map[redis.UniversalClient]bool{}
	for _, at := range shards {
		node, err := f.s.nodes.Node(ctx, at)
		if err != nil {
			return nodes.Explain(err)
		}
		servers[node] = true
	}
	for node := range servers {
		n, err := node.DBSize(ctx).Result()
		if err != nil {
			return nodes.Explain(err)
		}
		f.of += int(n)
	}
	for node := range servers {
		if err := f.scan(ctx, node, look); err != nil {
			return err
		}
	}
	return nil
}

// tell yields a fault once.
func (f *fsck) tell(fault Fault) error {
	key := fault.Name + "\n" + fault.What
	if f.told[key] {
		return nil
	}
	f.told[key] = true
	fault.Repaired = f.repair && fault.Fix != ""
	if !f.yield(fault, nil) {
		return errFsckEnough
	}
	return nil
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

// look runs a check over names of one shard, and tells what it found.
func (f *fsck) look(ctx context.Context, at nodes.Shard, check *nodes.Script, what string, names []string,
	more ...any) error {
	for page := range slices.Chunk(names, fsckPage) {
		args := append([]any{map[bool]int{true: 1}[f.repair], f.s.opt.RecallRetention.Milliseconds(),
			f.s.recordTime().Milliseconds()}, more...)
		for _, name := range page {
			args = append(args, name)
		}
		rows, err := f.s.nodes.Run(ctx, at, check, args...).Slice()
		if err != nil {
			return nodes.Explain(err)
		}
		for _, row := range rows {
			texts, _ := row.([]any)
			if len(texts) != 3 {
				continue
			}
			fault := Fault{Name: what + fmt.Sprint(texts[0]), What: fmt.Sprint(texts[1]), Fix: fmt.Sprint(texts[2])}
			if err := f.tell(fault); err != nil {
				return err
			}
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
	for _, look := range []func(context.Context, nodes.Shard) error{f.counters, f.owners, f.remembered} {
		if err := each(ctx, shards, look); err != nil {
			return err
		}
	}
	return nil
}

func each(ctx context.Context, shards []nodes.Shard, look func(context.Context, nodes.Shard) error) error {
	for _, at := range shards {
		if err := look(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// sets looks for members of a shard's sets that should not be there.
func (f *fsck) sets(ctx context.Context, at nodes.Shard) error {
	for _, set := range []string{"z:held", "z:releasing", "z:released", "z:recalled", "jobs"} {
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

// scan calls look with the names of all keys of a server.
func (f *fsck) scan(ctx context.Context, node redis.UniversalClient,
	look func(context.Context, []string) error) error {
	for cursor := uint64(0); ; {
		names, next, err := node.Scan(ctx, cursor, f.s.everything(), fsckScan).Result()
		if err != nil {
			return nodes.Explain(err)
		}
		if err := look(ctx, names); err != nil {
			return err
		}
		if f.looked += fsckScan; f.progress != nil {
			f.progress(min(f.looked, f.of), f.of)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// keyKind are keys whose names begin alike, with the check for them.
type keyKind struct {
	begin, what string
	check       *nodes.Script // nil: they are constant, or looked at otherwise
	is          string        // their type in Redis; "": any
}

var kinds = []keyKind{
	{"h:", "", checkHoldScript, "hash"},
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

const countTries = 3 // a busy store changes while it is counted

// waiting is what a shard has of held and releasing messages.
type waiting struct {
	bytes int64
	ages  map[string]int64 // how many of each ageStep
}

// counters counts what waits, and compares it with the counters. While something comes or leaves it says nothing; nor
// when there are other faults that nobody repairs, since then it would count wrong.
func (f *fsck) counters(ctx context.Context, at nodes.Shard) error {
	if len(f.told) > 0 && !f.repair {
		return nil
	}
	var says, is waiting
	for range countTries {
		err := f.s.nodes.Client.Watch(ctx, func(tx *redis.Tx) (err error) {
			if is, err = f.waiting(ctx, at); err != nil {
				return err
			}
			if says, err = countersOf(ctx, tx, at); err != nil {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				if pipe.Exists(ctx, bytesKey(at)); f.repair && says.bytes != is.bytes {
					pipe.Set(ctx, bytesKey(at), is.bytes, 0)
				}
				if f.repair && !maps.Equal(says.ages, is.ages) {
					is.write(ctx, pipe, at)
				}
				return nil
			})
			return err
		}, bytesKey(at), stateKey(at, Releasing))
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue
		case err != nil:
			return nodes.Explain(err)
		}
		return f.compare(at, says, is)
	}
	return nil
}

func (f *fsck) compare(at nodes.Shard, says, is waiting) error {
	name := "shard " + string(at)
	if says.bytes != is.bytes {
		what := fmt.Sprintf("it counts %d bytes waiting, and there are %d", says.bytes, is.bytes)
		err := f.tell(Fault{Name: name, What: what, Fix: "the counter is set right"})
		if err != nil {
			return err
		}
	}
	if !maps.Equal(says.ages, is.ages) {
		return f.tell(Fault{Name: name, What: "its counters of how old is what waits are wrong",
			Fix: "they are set right"})
	}
	return nil
}

func countersOf(ctx context.Context, c redis.Cmdable, at nodes.Shard) (says waiting, err error) {
	text, err := c.Get(ctx, bytesKey(at)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return says, err
	}
	if says.bytes, err = strconv.ParseInt(text, 10, 64); err != nil && text != "" {
		says.bytes = -1 // not a number
	}
	ages, err := c.HGetAll(ctx, agesKey(at)).Result()
	says.ages = map[string]int64{}
	for age, n := range ages {
		says.ages[age], _ = strconv.ParseInt(n, 10, 64)
	}
	return says, err
}

func (w waiting) write(ctx context.Context, pipe redis.Pipeliner, at nodes.Shard) {
	pipe.Del(ctx, agesKey(at))
	for age, n := range w.ages {
		pipe.HSet(ctx, agesKey(at), age, n)
	}
}

// eachPage calls do with the IDs of a shard's holds in some states, a page at a time.
func (f *fsck) eachPage(ctx context.Context, at nodes.Shard, states []State, do func(ids []string) error) error {
	m := &merge{}
	for _, st := range states {
		m.walks = append(m.walks, &walk{s: f.s, set: stateKey(at, st), min: "-inf", max: "+inf", page: findPage})
	}
	for {
		ids, err := m.next(ctx, findPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := do(ids); err != nil {
			return err
		}
	}
}

// waiting counts what is in the sets of what waits.
func (f *fsck) waiting(ctx context.Context, at nodes.Shard) (is waiting, err error) {
	is.ages = map[string]int64{}
	err = f.eachPage(ctx, at, []State{Releasing, Held}, func(ids []string) error {
		pipe := f.s.nodes.Client.Pipeline()
		replies := make([]*redis.MapStringStringCmd, len(ids))
		for n, id := range ids {
			replies[n] = pipe.HGetAll(ctx, holdKey(at, id))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nodes.Explain(err)
		}
		for _, r := range replies {
			if fields := unpacked(r.Val()); len(fields) > 0 {
				size, _ := strconv.ParseInt(fields["size"], 10, 64)
				held, _ := strconv.ParseInt(fields["held_at"], 10, 64)
				is.bytes += size
				is.ages[strconv.FormatInt(held/ageStep.Milliseconds(), 10)]++
			}
		}
		return nil
	})
	return is, err
}

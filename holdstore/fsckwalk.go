package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// look runs a check over names of one shard, and tells what it found.
func (f *fsck) look(ctx context.Context, at nodes.Shard, check *nodes.Script, what string, names []string,
	more ...any) error {
	most := fsckPage
	if check == checkShelfScript {
		most = 1 // each has many records
	}
	for page := range slices.Chunk(names, most) {
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

func each(ctx context.Context, shards []nodes.Shard, look func(context.Context, nodes.Shard) error) error {
	for _, at := range shards {
		if err := look(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// eachPage calls do with the IDs of a shard's holds in some states, a page at a time.
func (f *fsck) eachPage(ctx context.Context, at nodes.Shard, states []State, do func(ids []string) error) error {
	m := &merge{}
	for _, st := range states {
		m.walks = append(m.walks, f.s.walksIn(at, st, findPage)...)
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

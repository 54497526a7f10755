package holdstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// owners counts what each owner has, and compares it with the counters. An owner who sends meanwhile is left alone, and
// a fault must show twice: a hold that changes its state while it is counted may be met twice, or not at all.
func (f *fsck) owners(ctx context.Context, at nodes.Shard) error {
	if len(f.told) > 0 && !f.repair {
		return nil
	}
	says, is, err := f.drifted(ctx, at)
	if err != nil || len(says) == 0 {
		return err
	}
	again, isAgain, err := f.drifted(ctx, at)
	if err != nil {
		return err
	}
	for _, owner := range slices.Sorted(maps.Keys(says)) {
		if said, still := again[owner]; !still || said != says[owner] || isAgain[owner] != is[owner] {
			continue
		}
		if f.repair {
			if err := f.charge(ctx, at, owner, says[owner], is[owner]); err != nil {
				return err
			}
		}
		err := f.tell(Fault{Name: "shard " + string(at) + ", owner " + owner, Fix: "the counters are set right",
			What: fmt.Sprintf("it counts %v (messages, their bytes, bytes of records), and there are %v", says[owner],
				is[owner])})
		if err != nil {
			return err
		}
	}
	return nil
}

// drifted says what the counters of owners say, and what there is, where that differs and nobody has changed it
// meanwhile.
func (f *fsck) drifted(ctx context.Context, at nodes.Shard) (says, is map[string]charges, err error) {
	before, err := f.counted(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	if is, err = f.charged(ctx, at); err != nil {
		return nil, nil, err
	}
	if says, err = f.counted(ctx, at); err != nil {
		return nil, nil, err
	}
	for owner := range is {
		if _, counted := says[owner]; !counted {
			says[owner] = charges{}
		}
	}
	maps.DeleteFunc(says, func(owner string, c charges) bool { return c != before[owner] || c == is[owner] })
	return says, is, nil
}

// counted reads the counters.
func (f *fsck) counted(ctx context.Context, at nodes.Shard) (map[string]charges, error) {
	fields, err := f.s.nodes.Client.HGetAll(ctx, ownKey(at)).Result()
	if err != nil {
		return nil, nodes.Explain(err)
	}
	says := map[string]charges{}
	for owner, text := range fields {
		if owner != "room" {
			says[owner] = parseCharges(text)
		}
	}
	return says, nil
}

// charged counts what the holds of a shard say that their owners are charged for.
func (f *fsck) charged(ctx context.Context, at nodes.Shard) (map[string]charges, error) {
	is := map[string]charges{}
	err := f.eachPage(ctx, at, []State{Held, Releasing, Released, Recalled}, func(ids []string) error {
		charges, err := f.s.chargesOf(ctx, ids)
		for _, o := range charges {
			addCharge(is, strings.Fields(o))
		}
		return err
	})
	return is, err
}

// addCharge adds what field o of a hold says: owner, bytes of its content or "-", bytes of its record.
func addCharge(is map[string]charges, words []string) {
	if len(words) != 3 {
		return
	}
	owner := words[0]
	record, _ := strconv.ParseInt(words[2], 10, 64)
	group, _, behind := strings.Cut(owner, "@")
	all := []string{group}
	if behind {
		all = append(all, owner)
	}
	if content, err := strconv.ParseInt(words[1], 10, 64); err == nil {
		for _, who := range all {
			c := is[who]
			c.n, c.b = c.n+1, c.b+content+record
			is[who] = c
		}
	}
	c := is[group]
	c.r += record
	is[group] = c
}

// chargeScript sets the counters of an owner right, unless they have changed. ARGV: owner, then messages, bytes and
// bytes of records as they were, and how much more (or less) each is.
var chargeScript = drain(`
local n, bytes, records = counts(redis.call('HGET', P .. 'own', ARGV[1]))
if int(n) ~= ARGV[2] or int(bytes) ~= ARGV[3] or int(records) ~= ARGV[4] then return 'changed' end
own(ARGV[1], ARGV[5], ARGV[6], ARGV[7])
written()
return 'ok'
`)

func (f *fsck) charge(ctx context.Context, at nodes.Shard, owner string, was, is charges) error {
	return nodes.Explain(f.s.nodes.Run(ctx, at, chargeScript, owner, was.n, was.b, was.r, is.n-was.n, is.b-was.b,
		is.r-was.r).Err())
}

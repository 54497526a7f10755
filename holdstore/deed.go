package holdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Deed is what a person does to one hold or to many: Recalling, Releasing, Extending, Restoring.
type Deed struct {
	script *redis.Script
	verb   string // in the audit trail
	event  string // in the timeline
	detail string
	args   [2]any // what act in the script gets
}

// deedScript makes a script that does the same to some holds, each on its own: a timeline line for each that it is done to,
// and one entry in the audit trail. act returns the word for one of them.
// ARGV: event, verb, by, from, reason, detail, two arguments of act, ids... Output: a word for each.
func deedScript(act string) *redis.Script {
	return drain(takingBack + act + `
local words, did = {}, {}
for i = 9, #ARGV do
  local id = ARGV[i]
  local word = act(id, ARGV[7], ARGV[8])
  if word == 'ok' or word == 'partly' then
    note(id, ARGV[1])
    did[#did + 1] = id
  end
  words[#words + 1] = word
end
if #did > 0 then audit(table.concat(did, ' '), ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]) end
return words
`)
}

var (
	recallScript  = deedScript("local act = takeBack\n")
	restoreScript = deedScript("local act = giveBack\n")
	// dueScript moves the due moment: later by so many ms, or with "" to now.
	dueScript = deedScript(`
local function act(id, later)
  local state = get(id, 'state')
  if not state then return 'none' end
  if state == 'recalled' then return state end
  if state ~= 'held' then return 'late' end
  local due = now
  local parked = redis.call('HDEL', P .. 'h:' .. id, 'parked', 'defects') > 0
  if later ~= '' then due = (parked and now or num(id, 'due')) + later end
  hurry(due)
  set(id, 'due', int(due))
  redis.call('ZADD', P .. 'z:held', int(due), id)
  return 'ok'
end
`)
)

// Recalling takes holds back. Done: no recipient that was still pending will ever get it. ErrTooLate: releasing or
// released, nothing changed. ErrNotNow: recalled already. ErrNotFound.
func (s *Store) Recalling() Deed {
	return Deed{script: recallScript, verb: "recall", event: "recalled",
		args: [2]any{s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}}
}

// Releasing makes holds due now.
func (s *Store) Releasing() Deed {
	return Deed{script: dueScript, verb: "release", event: "release now", args: [2]any{"", ""}}
}

// Extending moves the due moment of held messages later by d.
func (s *Store) Extending(d time.Duration) Deed {
	return Deed{script: dueScript, verb: "extend", event: "extended", detail: "by " + d.String(), args: [2]any{d.Milliseconds(), ""}}
}

// Restoring undoes recalls; each hold is due after its grace again (its Terms.Grace from now). ErrNotNow: it is not recalled,
// or its content is no longer kept.
func (s *Store) Restoring() Deed {
	return Deed{script: restoreScript, verb: "restore", event: "restored", args: [2]any{"", ""}}
}

// Recall does Recalling to one hold. The returned Hold is the state after the act (Results tell which recipients were
// sent before).
func (s *Store) Recall(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.one(ctx, s.Recalling(), id, a)
}

// Release does Releasing to one hold.
func (s *Store) Release(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.one(ctx, s.Releasing(), id, a)
}

// Extend does Extending to one hold.
func (s *Store) Extend(ctx context.Context, id string, d time.Duration, a Act) (*Hold, error) {
	return s.one(ctx, s.Extending(d), id, a)
}

// Restore does Restoring to one hold.
func (s *Store) Restore(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.one(ctx, s.Restoring(), id, a)
}

func (s *Store) one(ctx context.Context, d Deed, ref string, a Act) (*Hold, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	words, err := s.do(ctx, d, s.nodes.Of(id), []string{id}, a)
	if err != nil {
		return nil, err
	}
	if err := outcome(words[0], id); err != nil && !errors.Is(err, ErrPartly) {
		return nil, err
	}
	return s.Get(ctx, id)
}

// do runs a deed for holds of one shard.
func (s *Store) do(ctx context.Context, d Deed, at nodes.Shard, ids []string, a Act) ([]string, error) {
	said := d.detail
	if a.Reason != "" {
		said = a.Reason
	}
	if d.script == restoreScript {
		mays, err := s.mays(ctx, ids, func(map[string]string, *Hold) []int { return nil })
		if err != nil {
			return nil, err
		}
		d.args[0] = mays
	}
	args := []any{eventLine(Event{Verb: d.event, By: a.By, Detail: said}), d.verb, a.By, a.From, a.Reason, d.detail, d.args[0], d.args[1]}
	for _, id := range ids {
		args = append(args, id)
	}
	words, err := s.nodes.RunReplicated(ctx, at, d.script, args...).StringSlice()
	if errors.Is(err, nodes.ErrFewReplicas) {
		return nil, fmt.Errorf("%s: %w, and a failover now would undo it", ids[0], nodes.Explain(err))
	}
	if err == nil && len(words) != len(ids) {
		err = fmt.Errorf("redis answered %d times for %d holds", len(words), len(ids))
	}
	return words, nodes.Explain(err)
}

const (
	deedBatch = 100 // holds that one script does something to: others wait some milliseconds for it
	deedHands = 4   // scripts on their way at a time
)

// Bulk does a deed to many holds, each of which is changed or not on its own, and tells what became of each batch: an error
// for each of ids, nil for done, ErrPartly for recalled with some recipients sent before, ErrUnavailable for a reply that never came. told is called
// by one goroutine at a time. An error of Bulk says that it did not come to the end; the same call does the rest. A server of a
// Cluster that is away keeps nothing back that others have: then it is ErrPartial.
func (s *Store) Bulk(ctx context.Context, d Deed, ids []string, a Act, told func(ids []string, errs []error)) error {
	b := &bulk{s: s, d: d, a: a, told: told}
	ctx, b.stop = context.WithCancelCause(ctx)
	defer b.stop(nil)
	var wg sync.WaitGroup
	batches := make(chan []string)
	for range deedHands {
		wg.Go(func() {
			for batch := range batches {
				// What has begun is ended and told, also when the caller has enough.
				if err := s.nodes.Guard("a deed to a batch of holds", func() error { b.do(context.WithoutCancel(ctx), batch); return nil }); err != nil {
					b.stop(err)
				}
			}
		})
	}
	s.deal(ctx, ids, batches)
	wg.Wait()
	return cmp.Or(context.Cause(ctx), b.failed.Err())
}

// bulk is one Bulk under way.
type bulk struct {
	s    *Store
	d    Deed
	a    Act
	stop context.CancelCauseFunc

	mu     sync.Mutex
	told   func(ids []string, errs []error)
	failed nodes.Failures
}

// do does the deed to a batch, and tells what became of it unless it is known that nothing was done.
func (b *bulk) do(ctx context.Context, batch []string) {
	at := b.s.nodes.Of(batch[0])
	var words []string
	err, sent := b.s.nodes.Skipped(ctx, at), false
	if err == nil {
		words, err = b.s.do(ctx, b.d, at, batch, b.a)
		b.s.nodes.NoteSilence(ctx, at, err)
		sent = !(nodes.Answered(err) || nodes.Unsent(err) || errors.Is(err, ErrSchema))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if sent {
		b.told(batch, deedOutcomes(batch, words, err))
	}
	switch {
	case err == nil:
		b.failed.Some = true
	case len(b.s.nodes.Shards) == 1:
		b.stop(err)
	default:
		b.failed.Add(err)
	}
}

func deedOutcomes(ids, words []string, err error) []error {
	errs := make([]error, len(ids))
	for n, id := range ids {
		if errs[n] = err; err == nil {
			errs[n] = outcome(words[n], id)
		}
	}
	return errs
}

// deal sends IDs in batches of one shard each, until ctx ends.
func (s *Store) deal(ctx context.Context, ids []string, batches chan<- []string) {
	defer close(batches)
	groups := s.nodes.Grouped(ids)
	for _, at := range nodes.InOrder(groups) {
		for batch := range slices.Chunk(groups[at], deedBatch) {
			if ctx.Err() != nil {
				return
			}
			select {
			case batches <- batch:
			case <-ctx.Done():
				return
			}
		}
	}
}

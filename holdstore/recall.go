package holdstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// act runs a script for a person: ARGV are id, event, by, from, reason, and then args. It returns the hold after it.
func (s *Store) act(ctx context.Context, sc *redis.Script, verb, ref, detail string, a Act, args ...any) (*Hold, error) {
	id, ok := canonicalID(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	said := detail
	if a.Reason != "" {
		said = a.Reason
	}
	event := eventLine(Event{Verb: verb, By: a.By, Detail: said})
	err := s.firmWord(ctx, sc, id, append([]any{event, a.By, a.From, a.Reason}, args...)...)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}

// recallScript takes a hold back. ARGV: id, event, by, from, reason, content ms, record ms.
// Output: "ok", "none", "late", or the state that forbids it.
var recallScript = drain(takingBack + `
local id = ARGV[1]
local word = takeBack(id, ARGV[6], ARGV[7])
if word == 'ok' then
  note(id, ARGV[2])
  audit(id, 'recall', ARGV[3], ARGV[4], ARGV[5], '')
end
return word
`)

// Recall takes a hold back. nil: no recipient that was still pending will ever get it.
// ErrTooLate: releasing or released, nothing changed. ErrNotNow: recalled already. ErrNotFound.
// The returned Hold is the state after the act (Results tell which recipients were sent before).
func (s *Store) Recall(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.act(ctx, recallScript, "recalled", id, "", a,
		s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds())
}

// dueScript moves the due moment. ARGV: id, event, by, from, reason, verb, ms later ("" means due now), detail.
// Output: "ok", "none", "late", or the state that forbids it.
var dueScript = drain(`
local id, state = ARGV[1], get(ARGV[1], 'state')
if not state then return 'none' end
if state == 'recalled' then return state end
if state ~= 'held' then return 'late' end
local due = now
if ARGV[7] ~= '' then due = num(id, 'due') + ARGV[7] end
hurry(due)
set(id, 'due', int(due))
redis.call('ZADD', P .. 'z:held', int(due), id)
note(id, ARGV[2])
audit(id, ARGV[6], ARGV[3], ARGV[4], ARGV[5], ARGV[8])
return 'ok'
`)

// Release makes the hold due now.
func (s *Store) Release(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.act(ctx, dueScript, "release now", id, "", a, "release", "", "")
}

// Extend moves the due moment of a held message later by d.
func (s *Store) Extend(ctx context.Context, id string, d time.Duration, a Act) (*Hold, error) {
	return s.act(ctx, dueScript, "extended", id, "by "+d.String(), a, "extend", d.Milliseconds(), "by "+d.String())
}

// restoreScript undoes a recall. ARGV: id, event, by, from, reason.
// Output: "ok", "none", "gone" (the content is no longer kept), or the state that forbids it.
var restoreScript = drain(takingBack + `
local id = ARGV[1]
local word = giveBack(id)
if word == 'ok' then
  note(id, ARGV[2])
  audit(id, 'restore', ARGV[3], ARGV[4], ARGV[5], '')
end
return word
`)

// Restore undoes a recall; the hold is due after its grace again (its Terms.Grace from now).
func (s *Store) Restore(ctx context.Context, id string, a Act) (*Hold, error) {
	return s.act(ctx, restoreScript, "restored", id, "", a)
}

package holdstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Action is what a person does to one hold or to many: Recalling, Releasing, Extending, Restoring.
type Action struct {
	script *nodes.Script
	verb   string // in the audit trail
	event  string // in the timeline
	detail string
	args   [2]any // what act in the script gets
}

// actionScript makes a script that does the same to some holds, each on its own, and writes one entry into the audit
// trail. act(id, two arguments, operator, event) also writes the event into the timeline of a hold to which it is done,
// and returns the word for it; of a record that can't be read it is "damaged". ARGV: event, verb, by, from, reason,
// detail, two arguments of act, "1" for an operator, ids... Output: a word for each, and behind it, of one that it was
// done to, the JSON in its field p without the recipients and what follows them; else "".
func actionScript(act string) *nodes.Script {
	return drain(takeback + act + `
local words, did = {}, {}
for i = 10, #ARGV do
  local id, meta = ARGV[i], ''
  local fine, word = pcall(act, id, ARGV[7], ARGV[8], ARGV[9] == '1', ARGV[1])
  if fine and (word == 'ok' or word == 'partly') then
    did[#did + 1] = id
    meta = get(id, 'meta') or ''
    local first = string.find(meta, ',"r":[', 1, true) -- within a string the quotes would have backslashes
    if first then meta = string.sub(meta, 1, first - 1) .. '}' end
    if #meta > ` + strconv.Itoa(namesMost) + ` then meta = '' end
  elseif not fine or not get(id, 'state') and (there(id) or redis.call('EXISTS', P .. 'aside:h:' .. id) == 1) then
    word = 'damaged'
  end
  words[#words + 1], words[#words + 2] = word, meta
end
written()
if #did > 0 then audit(table.concat(did, ' '), ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]) end
return words
`)
}

var (
	recallScript  = actionScript("local act = takeBack\n")
	restoreScript = actionScript("local act = giveBack\n")
	// dueScript moves the due moment: later by so many ms, or with "" to now.
	dueScript = actionScript(`
local function act(id, later, _, _, event)
  local state = get(id, 'state')
  if not state then return 'none' end
  if state == 'recalled' then return state end
  if state ~= 'held' then return states[state] and 'late' or 'damaged' end
  local due = now
  local parked = unset(id, 'parked', 'defects')
  if later ~= '' then due = (parked and now or num(id, 'due')) + later end
  set(id, 'due', int(due), 'tl', noted(id, event))
  stands('z:held', id, due)
  return 'ok'
end
`)
)

// Recalling takes holds back. Done: no recipient that was still pending will ever get it. ErrTooLate: releasing or
// released, nothing changed. ErrNotNow: recalled already. ErrNotFound.
func (s *Store) Recalling() Action {
	return Action{script: recallScript, verb: "recall", event: "recalled",
		args: [2]any{s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds()}}
}

// Releasing makes holds due now.
func (s *Store) Releasing() Action {
	return Action{script: dueScript, verb: "release", event: "release now", args: [2]any{"", ""}}
}

// Extending moves the due moment of held messages later by d.
func (s *Store) Extending(d time.Duration) Action {
	return Action{script: dueScript, verb: "extend", event: "extended", detail: "by " + short(d),
		args: [2]any{d.Milliseconds(), ""}}
}

// short writes a duration for people, without its zero parts: "10m" and not "10m0s". It is policy.Short, which nothing
// here imports.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}

// Restoring undoes the last recall of each hold: whoever was taken out by an earlier one gets nothing. The hold is due
// after its grace again (its Terms.Grace from now), or at its moment of the calendar, when that is to come, and else
// now (Terms.Fixed). ErrNotNow: it is not recalled, or its content is no longer kept. ErrStopped: an operator has
// recalled it, and whoever acts is none.
func (s *Store) Restoring() Action {
	return Action{script: restoreScript, verb: "restore", event: "restored", args: [2]any{"", ""}}
}

// takenEarlier lists the recipients that were taken back before the last recall, which a restore does not undo.
func takenEarlier(_ map[string]string, h *Hold) (indexes []int) {
	var last time.Time
	for _, r := range h.Results {
		if r.back() && r.At.After(last) {
			last = r.At
		}
	}
	for n, r := range h.Results {
		if r.back() && r.At.Before(last) {
			indexes = append(indexes, n)
		}
	}
	return indexes
}

// Recall does Recalling to one hold. The returned Hold is the state after the act (Results tell which recipients were
// sent before).
func (s *Store) Recall(ctx context.Context, id string, a Actor) (*Hold, error) {
	return s.one(ctx, s.Recalling(), id, a)
}

// Release does Releasing to one hold.
func (s *Store) Release(ctx context.Context, id string, a Actor) (*Hold, error) {
	return s.one(ctx, s.Releasing(), id, a)
}

// Extend does Extending to one hold.
func (s *Store) Extend(ctx context.Context, id string, d time.Duration, a Actor) (*Hold, error) {
	return s.one(ctx, s.Extending(d), id, a)
}

// Restore does Restoring to one hold.
func (s *Store) Restore(ctx context.Context, id string, a Actor) (*Hold, error) {
	return s.one(ctx, s.Restoring(), id, a)
}

func (s *Store) one(ctx context.Context, d Action, ref string, a Actor) (*Hold, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	acted, err := s.do(ctx, d, s.nodes.Of(id), []string{id}, a)
	if err != nil {
		return nil, err
	}
	if !acted[0].Changed() {
		return nil, acted[0].Err
	}
	return s.Get(ctx, id)
}

// do runs an action for holds of one shard, and returns what became of each.
func (s *Store) do(ctx context.Context, d Action, at nodes.Shard, ids []string, a Actor) ([]Acted, error) {
	acted, err := s.attempt(ctx, d, at, ids, a)
	for n := range acted {
		for tries := 1; errors.Is(acted[n].Err, errChanged) && tries < partialTries; tries++ {
			again, err := s.attempt(ctx, d, at, ids[n:n+1], a)
			if acted[n].Err = err; err == nil {
				acted[n] = again[0]
			}
		}
	}
	return acted, err
}

// attempt is one try of do. A recall that comes while a restore makes its tickets is an errChanged.
func (s *Store) attempt(
	ctx context.Context, d Action, at nodes.Shard, ids []string, a Actor,
) (acted []Acted, err error) {
	said, unproven := d.detail, map[string]error{}
	if a.Reason != "" {
		said = a.Reason
	}
	if d.script == restoreScript {
		d.args[0], unproven, err = s.mays(ctx, ids, takenEarlier)
		if err != nil {
			return nil, err
		}
	}
	event := eventLine(Event{Verb: d.event, By: a.By, Detail: said})
	args := []any{event, d.verb, a.By, a.From, a.Reason, d.detail, d.args[0], d.args[1], operates(a)}
	for _, id := range ids {
		args = append(args, id)
	}
	words, err := s.nodes.RunDurable(ctx, at, d.script, args...).StringSlice()
	if errors.Is(err, nodes.ErrFewReplicas) {
		return nil, fmt.Errorf("%s: %w, and a failover now would undo it", ids[0], nodes.Explain(err))
	}
	if err == nil && len(words) != 2*len(ids) {
		err = fmt.Errorf("redis answered %d times for %d holds", len(words)/2, len(ids))
	}
	if err != nil {
		return nil, nodes.Explain(err)
	}
	for n, id := range ids {
		o := outcome(words[2*n], id)
		if why := unproven[id]; why != nil && errors.Is(o, ErrNoKey) {
			o = &notDone{id, why, ""}
		}
		acted = append(acted, Acted{ID: id, Err: o, names: words[2*n+1]})
	}
	return acted, nil
}

// operates is how scripts are told that an operator acts.
func operates(a Actor) string {
	if a.Operator {
		return "1"
	}
	return ""
}

// Draining makes holds due now, as one of the steps to an empty store.
func (s *Store) Draining() Action {
	return Action{script: dueScript, verb: "drain", event: "release now", args: [2]any{"", ""}}
}

// takeback is the part of scripts that recalls and restores.
var takeback = ticketing + lua("takeback")

// act runs a script for a person: ARGV are id, event, by, from, reason, and then args. It returns the hold after it.
func (s *Store) act(
	ctx context.Context, sc *nodes.Script, verb, ref, detail string, a Actor, args ...any,
) (*Hold, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, fmt.Errorf("%q: %w", ref, ErrNotFound)
	}
	said := detail
	if a.Reason != "" {
		said = a.Reason
	}
	event := eventLine(Event{Verb: verb, By: a.By, Detail: said})
	err := s.replicatedWord(ctx, sc, id, append([]any{event, a.By, a.From, a.Reason}, args...)...)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}

// partialScript takes a hold back for some recipients: recallonly.lua.
var partialScript = drain(takeback + lua("recallonly"))

// RecallOnly takes a hold back for the recipients with these addresses (in any case); the others still get it.
// ErrTooLate: all of them were sent, or are being sent. ErrNotNow: recalled already. ErrNotFound: no such hold, or
// none of its recipients has such an address.
func (s *Store) RecallOnly(ctx context.Context, id string, addresses []string, a Actor) (h *Hold, err error) {
	for range partialTries { // recalls of others change its ticket
		if h, err = s.recallOnly(ctx, id, addresses, a); !errors.Is(err, errChanged) {
			return h, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

const partialTries = 20

func (s *Store) recallOnly(ctx context.Context, id string, addresses []string, a Actor) (*Hold, error) {
	h, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	detail := cut("only for "+strings.Join(addresses, " "), maxLine)
	args := []any{s.opt.RecallRetention.Milliseconds(), s.recordTime().Milliseconds(), detail}
	indexes := h.indexes(addresses)
	if len(indexes) == 0 {
		return nil, notAddressed(h, addresses)
	}
	next, was, err := s.ticketWithout(ctx, h, indexes)
	if err != nil {
		return nil, err
	}
	args = append(append(args, next, was, operates(a)), indexes...)
	return s.act(ctx, partialScript, "recalled", h.ID, detail, a, args...)
}

// indexes lists the recipients with these addresses.
func (h *Hold) indexes(addresses []string) (indexes []any) {
	wanted := NewAddresses(addresses)
	for n, r := range h.Recipients {
		if wanted.Has(r.Address) {
			indexes = append(indexes, n)
		}
	}
	return indexes
}

package holdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// A claw back is one hash: what is to be done (head), and for each mailbox what is meant (t), what was about to be done
// (p), and what came of it (r), each behind its number. All of it is sealed where there is a key. What these texts say
// is up to whoever wrote them. In plain words it has the outcome of each mailbox (o), how many have each ("sum "), and
// whether it was stopped.

// ClawBack is an operator's order to take messages out of mailboxes.
type ClawBack struct {
	ID        string
	At        time.Time // when it was ordered
	Ended     time.Time // zero: it is under way
	Mailboxes int
	Left      int  // mailboxes without a result
	Stopped   bool // what was not begun is left alone
	place     seal.Place
	head      string
	seal      *seal.Sealer
}

// Read fills what AddClawBack wrote of the whole into v. ErrNoKey.
func (c *ClawBack) Read(v any) error { return unsealed(c.seal, c.head, c.place, v) }

// ClawMailbox is one mailbox of a claw back.
type ClawMailbox struct {
	N                    int
	target, plan, result string
	id                   string
	seal                 *seal.Sealer
}

// Target fills what is meant into v.
func (m *ClawMailbox) Target(v any) error {
	return unsealed(m.seal, m.target, clawPlace(m.id, "t", m.N), v)
}

// Plan fills what was about to be done into v; false: nothing was yet.
func (m *ClawMailbox) Plan(v any) (bool, error) {
	return m.plan != "", unsealed(m.seal, m.plan, clawPlace(m.id, "p", m.N), v)
}

// Result fills what came of it into v; false: nothing yet.
func (m *ClawMailbox) Result(v any) (bool, error) {
	return m.result != "", unsealed(m.seal, m.result, clawPlace(m.id, "r", m.N), v)
}

// unsealed reads what is stored; nothing changes nothing.
func unsealed(s *seal.Sealer, stored string, at seal.Place, v any) error {
	if stored == "" {
		return nil
	}
	data, err := s.Unwrap([]byte(stored), at)
	if err != nil {
		return fmt.Errorf("claw back %s: %w", at.ID, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("claw back %s: %w: %v", at.ID, ErrDamaged, err)
	}
	return nil
}

func clawPlace(id, what string, n int) seal.Place {
	return seal.Place{ID: id, Staging: "claw " + what, N: n, Last: true}
}

func (s *Store) clawText(id, what string, n int, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.seal.WrapSmall(data, clawPlace(id, what, n)), nil
}

// MaxClawMailboxes is how many mailboxes one claw back can have.
const MaxClawMailboxes = 100_000

const clawAtOnce = 200 // mailboxes of one script or page

// clawItemsScript stages mailboxes. ARGV: ID, ms that they stay unless the claw back begins, field and value of each.
var clawItemsScript = script(`
local key = P .. 'cb:' .. ARGV[1]
for i = 3, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', key, ARGV[2])
return 'ok'
`)

// clawBeginScript begins. ARGV: ID, head, how many mailboxes, ms to keep, verb, by, from, reason, detail for the trail.
var clawBeginScript = script(`
local key = P .. 'cb:' .. ARGV[1]
if redis.call('HEXISTS', key, 'at') == 1 then return 'ok' end
redis.call('HSET', key, 'at', int(now), 'head', ARGV[2], 'n', ARGV[3], 'left', ARGV[3])
redis.call('PEXPIRE', key, ARGV[4])
redis.call('ZADD', P .. 'claws', int(now), ARGV[1])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', P .. 'claws', '-inf', int(now - ARGV[4]), 'LIMIT', 0, 100)) do
  redis.call('ZREM', P .. 'claws', old)
end
audit(ARGV[1], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
return 'ok'
`)

// clawStaged is how long mailboxes wait for their claw back to begin.
const clawStaged = time.Hour

// NewClawID makes the ID of a claw back.
func (s *Store) NewClawID() string { return holdid.New(time.Now()) }

// AddClawBack writes a claw back under a new ID, and the trail's line of it. Its jobs are added by the caller.
func (s *Store) AddClawBack(
	ctx context.Context, id string, head any, targets []any, keep time.Duration, e Entry,
) error {
	if len(targets) == 0 || len(targets) > MaxClawMailboxes {
		return fmt.Errorf("a claw back is for 1 to %d mailboxes, not for %d", MaxClawMailboxes, len(targets))
	}
	n := 0
	for some := range slices.Chunk(targets, clawAtOnce) {
		args := []any{clawStaged.Milliseconds()}
		for _, target := range some {
			text, err := s.clawText(id, "t", n, target)
			if err != nil {
				return err
			}
			args = append(args, "t"+strconv.Itoa(n), text)
			n++
		}
		if err := s.word(ctx, clawItemsScript, id, args...); err != nil {
			return err
		}
	}
	text, err := s.clawText(id, "head", 0, head)
	if err != nil {
		return err
	}
	return s.replicatedWord(ctx, clawBeginScript, id, text, n, keep.Milliseconds(), e.Verb, e.By, e.From, e.Reason,
		e.Detail)
}

// ClawBack returns a claw back. ErrNotFound.
func (s *Store) ClawBack(ctx context.Context, id string) (*ClawBack, error) {
	f, err := s.nodes.Client.HMGet(ctx, clawKey(s.nodes.Of(id), id), "at", "ended", "n", "left", "head",
		"stopped").Result()
	if err != nil {
		return nil, nodes.Explain(err)
	}
	text := make([]string, len(f))
	for n := range f {
		text[n], _ = f[n].(string)
	}
	if text[0] == "" {
		return nil, fmt.Errorf("claw back %s: %w", id, ErrNotFound)
	}
	c := &ClawBack{ID: id, At: moment(text[0]), head: text[4], seal: s.seal, place: clawPlace(id, "head", 0)}
	c.Stopped = text[5] != ""
	if text[1] != "" {
		c.Ended = moment(text[1])
	}
	var wrong [2]error
	c.Mailboxes, wrong[0] = strconv.Atoi(text[2])
	c.Left, wrong[1] = strconv.Atoi(text[3])
	if errors.Join(wrong[:]...) != nil {
		return nil, fmt.Errorf("claw back %s: %w: a count is not a number", id, ErrDamaged)
	}
	return c, nil
}

// clawStopScript stops a claw back. ARGV: ID, verb, by, from, reason, detail for the trail.
var clawStopScript = drain(`
local key = P .. 'cb:' .. ARGV[1]
if redis.call('HEXISTS', key, 'at') == 0 then return 'none' end
if redis.call('HSETNX', key, 'stopped', 1) == 1 then
  audit(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
end
return 'ok'
`)

// StopClaw has a claw back leave alone what was not begun, and writes that into the trail once. ErrNotFound.
func (s *Store) StopClaw(ctx context.Context, id string, e Entry) error {
	return s.replicatedWord(ctx, clawStopScript, id, e.Verb, e.By, e.From, e.Reason, e.Detail)
}

// ClawCounts says how many mailboxes of a claw back have each of some outcomes. One that is not known has none.
func (s *Store) ClawCounts(ctx context.Context, id string, outcomes []string) ([]int, error) {
	fields := make([]string, len(outcomes))
	for n, outcome := range outcomes {
		fields[n] = "sum " + outcome
	}
	values, err := s.nodes.Client.HMGet(ctx, clawKey(s.nodes.Of(id), id), fields...).Result()
	if err != nil {
		return nil, nodes.Explain(err)
	}
	counts := make([]int, len(outcomes))
	for n := range values {
		text, _ := values[n].(string)
		counts[n], _ = strconv.Atoi(text)
	}
	return counts, nil
}

// ClawBacks returns the newest claw backs. With ErrPartial there may be more.
func (s *Store) ClawBacks(ctx context.Context, most int) (all []*ClawBack, err error) {
	shards, partly := s.nodes.Visible(ctx)
	var ids []string
	for _, at := range shards {
		some, err := s.nodes.Client.ZRevRange(ctx, clawsKey(at), 0, int64(most-1)).Result()
		if err != nil {
			return nil, nodes.Explain(err)
		}
		ids = append(ids, some...)
	}
	for _, id := range ids {
		c, err := s.ClawBack(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *ClawBack) int { return b.At.Compare(a.At) })
	return all[:min(len(all), most)], partly
}

// ClawMailboxes returns some mailboxes of a claw back by their numbers.
func (s *Store) ClawMailboxes(ctx context.Context, id string, numbers []int) (all []ClawMailbox, err error) {
	at := s.nodes.Of(id)
	for some := range slices.Chunk(numbers, clawAtOnce) {
		var fields []string
		for _, n := range some {
			of := strconv.Itoa(n)
			fields = append(fields, "t"+of, "p"+of, "r"+of)
		}
		values, err := s.nodes.Client.HMGet(ctx, clawKey(at, id), fields...).Result()
		if err != nil {
			return nil, nodes.Explain(err)
		}
		for i, n := range some {
			m := ClawMailbox{N: n, id: id, seal: s.seal}
			m.target, _ = values[3*i].(string)
			m.plan, _ = values[3*i+1].(string)
			m.result, _ = values[3*i+2].(string)
			if m.target == "" {
				return nil, fmt.Errorf("claw back %s: mailbox %d: %w", id, n, ErrNotFound)
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// clawPlanScript notes what is about to be done. ARGV: ID, number, plan.
var clawPlanScript = drain(`
local key = P .. 'cb:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 'none' end
redis.call('HSET', key, 'p' .. ARGV[2], ARGV[3])
return 'ok'
`)

// PlanClaw notes what is about to be done to a mailbox. ErrNotFound.
func (s *Store) PlanClaw(ctx context.Context, id string, n int, plan any) error {
	text, err := s.clawText(id, "p", n, plan)
	if err != nil {
		return err
	}
	return s.replicatedWord(ctx, clawPlanScript, id, n, text)
}

var clawResultScript = drain(lua("clawback"))

// EndClaw writes what came of a mailbox: its outcome in a word, the whole result, and a line in the trail. A result
// that is there stays, unless again says that it may be replaced. ErrNotFound.
func (s *Store) EndClaw(
	ctx context.Context, id string, n int, outcome string, result any, again bool, keep time.Duration, e Entry,
) error {
	text, err := s.clawText(id, "r", n, result)
	if err != nil {
		return err
	}
	return s.replicatedWord(ctx, clawResultScript, id, n, outcome, text, map[bool]string{true: "again"}[again],
		keep.Milliseconds(), e.Verb, e.By, e.From, e.Reason, e.Detail)
}

package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Settlement is what one release attempt brought.
type Settlement struct {
	Results map[int]Result // by recipient index; only what changed
	// a defect of ours ended the attempt, and this is its first line; after ParkAfter of them the hold is parked
	Defect  string
	RetryIn time.Duration // 0: all is settled, the hold becomes released; else it is held again for so long
	Detail  string        // one line for the timeline: the MTA's reply with its queue ID, or why it is retried
}

// Attempts that end at the same moment are settled by one script, each on its own: what is wrong with one harms no
// other, and who waits for one learns the outcome of that one. Redis syncs once for all of them.
const settleMost = 32 // of one script: others wait a millisecond or two for it

// settleScript writes what attempts brought, and claims for those who go on: settle.lua.
var settleScript = drain(claiming + parking + lua("settle", "CROWDED_RECORD", crowdedRecord.Milliseconds()))

// settling is one attempt on its way into the store.
type settling struct {
	id   string
	args []any // of the script
	more bool  // whoever settles it takes another hold

	err  error
	next *Claim
}

// Settle writes the results of an attempt; ErrLost when the lease is not ours any more (nothing is written).
// ErrNotNow: RetryIn is 0 although a recipient is pending (nothing is written either).
func (s *Store) Settle(ctx context.Context, c *Claim, st Settlement) error {
	_, err := s.settle(ctx, c, st, false)
	return err
}

// SettleNext is Settle, and claims the next due hold in the same step. nil: there is none, or only Claim can get it.
func (s *Store) SettleNext(ctx context.Context, c *Claim, st Settlement) (*Claim, error) {
	// Of several shards the soonest hold may be in another; and replicas must have a claim, but need not have what was
	// settled.
	return s.settle(ctx, c, st, len(s.nodes.Shards) == 1 && s.opt.Replicas == 0)
}

func (s *Store) settle(ctx context.Context, c *Claim, st Settlement, more bool) (*Claim, error) {
	x := &settling{id: c.ID, args: s.settleArgs(c, st), more: more}
	if err := s.settles[s.nodes.Of(c.ID)].do(ctx, &s.work, x); err != nil {
		return nil, nodes.Explain(err)
	}
	return x.next, x.err
}

func (s *Store) settleArgs(c *Claim, st Settlement) []any {
	verb, retry := "released", int64(0)
	if st.RetryIn > 0 {
		verb, retry = "retry", max(st.RetryIn.Milliseconds(), 1)
	}
	x, head := s.pack(c, st), []byte(nil)
	if x != nil {
		head = shelfHead(c.ID, c.fields)
	}
	if len(head)+len(x) > shelfRecord-shelfFront {
		head = nil
	}
	args := []any{c.ID, c.token, retry, eventLine(Event{Verb: verb, Detail: st.Detail}), len(st.Results), st.Defect, x,
		len(c.fields), head}
	return append(args, s.resultArgs(c.ID, st.Results)...)
}

// resultArgs are index and result of each recipient, as scripts read them.
func (s *Store) resultArgs(id string, results map[int]Result) (args []any) {
	for n, stored := range s.resultsOf(id, results) {
		b, _ := json.Marshal(stored)
		args = append(args, n, b)
	}
	return args
}

// resultsOf are results as they are stored.
func (s *Store) resultsOf(id string, results map[int]Result) map[int]storedResult {
	all := make(map[int]storedResult, len(results))
	for n, r := range results {
		if r.At.IsZero() {
			r.At = time.Now()
		}
		r.Detail = strings.ToValidUTF8(r.Detail, "\uFFFD") // as JSON has it, and as it is proven
		all[n] = storedResult{Outcome: r.Outcome, Detail: r.Detail, At: r.At.UnixMilli(), Reported: r.Reported,
			Proof: s.seal.ResultProof(id, n, string(r.Outcome), r.Detail)}
	}
	return all
}

// settleBatch settles attempts of one shard. After a panic it settles each by itself, so that the panic costs one
// outcome.
func (s *Store) settleBatch(at nodes.Shard, batch []*settling) error {
	err := s.nodes.Guard("the settling of a batch of releases", func() error { s.settleAll(at, batch); return nil })
	for _, x := range batch {
		if err != nil && len(batch) > 1 {
			_ = s.settleBatch(at, []*settling{x}) // each has its own outcome
		} else if err != nil {
			x.err = err
		}
	}
	return nil
}

// settleAll settles attempts of one shard.
func (s *Store) settleAll(at nodes.Shard, batch []*settling) {
	ctx, cancel := context.WithTimeout(context.Background(), nodes.IOTimeout)
	defer cancel()
	more := 0
	for _, x := range batch {
		if x.more {
			more++
		}
	}
	token, until := holdid.Random(16), time.Now().Add(s.lease)
	args := []any{s.recordTime().Milliseconds(), more, s.lease.Milliseconds(), token, claimContent}
	for _, x := range batch {
		args = append(args, x.args...)
	}
	words, rows, err := settleAnswer(s.nodes.Run(ctx, at, settleScript, args...).Slice())
	if err == nil && len(words) != len(batch) {
		err = fmt.Errorf("redis answered %d times for %d attempts", len(words), len(batch))
	}
	claims, _ := s.claimed(ctx, at, rows, token, until) // of what is damaged Claim tells
	for n, x := range batch {
		if x.err = nodes.Explain(err); err == nil {
			x.err = wordOf(words[n], x.id)
		}
		if x.more && x.err == nil && len(claims) > 0 {
			x.next, claims = claims[0], claims[1:]
		}
	}
	for _, c := range claims {
		_ = s.GiveBack(ctx, c) // else its lease ends by itself
	}
}

// settleAnswer cuts the answer of settleScript into its parts.
func settleAnswer(parts []any, err error) (words, rows []any, _ error) {
	if err == nil && len(parts) == 2 {
		words, _ = parts[0].([]any)
		rows, _ = parts[1].([]any)
	}
	return words, rows, err
}

// wordOf makes of a script's answer for one hold its outcome.
func wordOf(answer any, id string) error {
	if err, ok := answer.(error); ok {
		return fmt.Errorf("%s: %w", id, nodes.Explain(err))
	}
	word, _ := answer.(string)
	return outcome(word, id)
}

// progressScript writes what one of several transactions of an attempt brought; the attempt goes on.
// ARGV: id, token, then index and result of each. Output: "ok" or "lost".
var progressScript = drain(`
local id = ARGV[1]
if get(id, 'state') ~= 'releasing' or get(id, 'tok') ~= ARGV[2] then return 'lost' end
local np = open(id)
for i = 3, #ARGV, 2 do
  local is = cjson.decode(ARGV[i + 1]).o == 'pending'
  if pending(id, ARGV[i]) ~= is then np = np + (is and 1 or -1) end
  set(id, 'r' .. ARGV[i], ARGV[i + 1])
end
set(id, 'np', np)
return 'ok'
`)

// Progress writes results of an attempt that goes on, so that a crash repeats no more than is not written yet. ErrLost
// when the lease is not ours any more (nothing is written).
func (s *Store) Progress(ctx context.Context, c *Claim, results map[int]Result) error {
	return s.word(ctx, progressScript, c.ID, append([]any{c.token}, s.resultArgs(c.ID, results)...)...)
}

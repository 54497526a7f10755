package holdstore

import (
	"context"
	"errors"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
)

// claimOneScript leases one hold, due or not, also while releases are paused.
// ARGV: id, lease ms, token, event, by, from, reason, detail. Output: "ok", "none", "late", or the state that forbids it.
var claimOneScript = drain(`
local id = ARGV[1]
local state = get(id, 'state')
if not state then return 'none' end
if state == 'recalled' then return state end
if state ~= 'held' then return 'late' end
move(id, 'held', 'releasing', now + ARGV[2])
set(id, 'tok', ARGV[3], 'attempts', int(num(id, 'attempts') + 1))
note(id, ARGV[4])
audit(id, 'release', ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 'ok'
`)

// ClaimOne leases one hold to a person who sends it another way than the daemon does; detail says which. While the lease
// runs, no daemon sends it. It works whether the hold is due or not, and while releases are paused: nothing else would let a
// person empty the store without a daemon. ErrTooLate, ErrNotNow: it is recalled. ErrNotFound.
func (s *Store) ClaimOne(ctx context.Context, ref, detail string, a Act) (*Claim, error) {
	id, ok := holdid.Parse(ref)
	if !ok {
		return nil, outcome("none", ref)
	}
	token, until := holdid.Random(16), time.Now().Add(s.lease)
	event := eventLine(Event{Verb: "release", By: a.By, Detail: detail})
	err := s.firmWord(ctx, claimOneScript, id, s.lease.Milliseconds(), token, event, a.By, a.From, a.Reason, detail)
	if err != nil {
		return nil, err
	}
	h, err := s.Get(ctx, id)
	if err != nil {
		s.word(context.WithoutCancel(ctx), giveBackScript, id, token)
		return nil, errors.Join(errors.New("it was given back"), err)
	}
	return &Claim{Hold: *h, token: token, until: until}, nil
}

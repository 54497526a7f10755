package holdstore

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// One job at a time changes a mailbox, on all gateways of the store: a mail server that is asked twice at once to move
// a message moves it twice.

// mailboxTurnScript takes or ends a turn. ARGV: digest of the address, whose turn it is, ms that it lasts at most; 0
// ends it. Returns "ok", or "busy" while it is another's.
var mailboxTurnScript = drain(`
local key = P .. 'turn:' .. ARGV[1]
local at = redis.call('GET', key)
if at and at ~= ARGV[2] then return 'busy' end
if ARGV[3] == '0' then
  redis.call('DEL', key)
else
  redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
end
return 'ok'
`)

// EnterMailbox takes the turn to change the mailbox of an address, for so long at most. false: it is another job's.
// A job that has it already, on whatever gateway, keeps it.
func (s *Store) EnterMailbox(ctx context.Context, address, job string, most time.Duration) (bool, error) {
	return s.mailboxTurn(ctx, address, job, most)
}

// LeaveMailbox ends the turn of a job.
func (s *Store) LeaveMailbox(ctx context.Context, address, job string) error {
	_, err := s.mailboxTurn(ctx, address, job, 0)
	return err
}

func (s *Store) mailboxTurn(ctx context.Context, address, job string, most time.Duration) (bool, error) {
	of := digest(address)
	word, err := s.nodes.Run(ctx, s.nodes.Of(of), mailboxTurnScript, of, job, most.Milliseconds()).Text()
	return word == "ok", nodes.Explain(err)
}

package holdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// Kinds of jobs that RequestRecall adds.
const (
	JobRequest = "ask"    // write one request; its data is an Request
	JobReport  = "report" // tell the sender what came of it; its data is the hold's ID
)

// Job is work that must be done even when the daemon that began it dies: to ask another gateway, to take a message out
// of a mailbox, to report. They are in sorted sets by when they are due (see Lane); whoever claims one moves it behind
// its lease, and so it is due again when nobody finishes it.
type Job struct {
	ID       string
	Kind     string
	Attempts int
	Since    time.Time // when it was added
	Done     int       // how often it was done before: a report that is made again by later news

	at    nodes.Shard
	seal  *seal.Sealer
	data  string // as it is stored
	token string
}

// Read fills what Add or Save wrote into v. ErrNoKey: its seal key is not here.
func (j *Job) Read(v any) error {
	data, err := j.seal.Unwrap([]byte(j.data), jobPlace(j.ID, j.Kind))
	if err != nil {
		return fmt.Errorf("job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("job %s is damaged: %w", j.ID, err)
	}
	return nil
}

// jobPlace is what the data of a job is sealed for: nobody who writes to Redis makes another job of it.
func jobPlace(id, kind string) seal.Place {
	return seal.Place{ID: id, Staging: "job " + kind, Last: true}
}

// jobData is what is stored of v for a job.
func (s *Store) jobData(id, kind string, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.seal.WrapSmall(data, jobPlace(id, kind)), nil
}

// jobMoves is lanes, and adds jobs.
var jobMoves = lanes + lua("jobs")

// addJobScript: ARGV: id, kind, data, ms until it is due. Output: "ok" or "known".
var addJobScript = script(jobMoves + `
if addJob(ARGV[1], ARGV[2], ARGV[3], now + ARGV[4]) then return 'ok' end
return 'known'
`)

// AddJob adds a job that is due after a while; an ID that is known, done or not, changes nothing. v is kept as JSON,
// sealed where there is a key.
func (s *Store) AddJob(ctx context.Context, id, kind string, v any, in time.Duration) error {
	if err := s.nodes.ReadyAt(ctx, s.nodes.Of(id)); err != nil {
		return err
	}
	data, err := s.jobData(id, kind, v)
	if err != nil {
		return err
	}
	return nodes.Explain(s.nodes.RunDurable(ctx, s.nodes.Of(id), addJobScript, id, kind, data, in.Milliseconds()).Err())
}

// JobLease is how long a claimed job stays with who claimed it without being renewed: so late goes on what a daemon
// that died had begun.
const JobLease = 15 * time.Second

// claimJobScript: ARGV: lease ms, token, the lane ("in", "us", "op", or "" for jobs), askers that are busy...
// Output: {} or {id, kind, data, attempts, since, done}
var claimJobScript = drain(lanes + `
local busy = {}
for i = 4, #ARGV do busy[ARGV[i]] = true end
for _ = 1, 100 do -- those of which nothing is left are passed by
  local id = nil
  if ARGV[3] ~= '' then id = inTurn(ARGV[3], busy) else id = firstDue(P .. 'jobs') end
  if not id then return {} end
  local key = P .. 'j:' .. id
  local f = redis.call('HMGET', key, 'kind', 'data', 'since', 'done')
  if redis.call('EXISTS', key) == 1 then
    dueAt(id, now + ARGV[1])
    redis.call('HSET', key, 'tok', ARGV[2])
    return {id, f[1], f[2], tostring(redis.call('HINCRBY', key, 'attempts', 1)), f[3], f[4] or '0'}
  end
  undue(id)
end
return {}
`)

// ClaimJob leases the job of a lane that has been due for longest, for JobLease; nil: none is due. Without a lane it
// looks into all, ours first.
func (s *Store) ClaimJob(ctx context.Context, some ...Lane) (j *Job, err error) {
	if len(some) == 0 {
		some = []Lane{OurLane, UserLane(), OperatorLane(), TheirLane()}
	}
	for _, lane := range some {
		if j, err = s.claimIn(ctx, lane); j != nil || err != nil {
			return j, err
		}
	}
	return nil, nil
}

func (s *Store) claimJobAt(ctx context.Context, at nodes.Shard, lane Lane) (*Job, error) {
	token := holdid.Random(16)
	args := []any{JobLease.Milliseconds(), token, lane.way}
	row, err := s.nodes.Run(ctx, at, claimJobScript, append(args, anys(lane.busy)...)...).Slice()
	if err != nil || len(row) == 0 {
		return nil, nodes.Explain(err)
	}
	j := &Job{at: at, seal: s.seal, token: token}
	if j.ID, _ = row[0].(string); j.ID == "" {
		return nil, errors.New("redis claimed a job without an ID")
	}
	if err := s.nodes.Guard("the claim of job "+j.ID, func() error { return j.parse(row) }); err != nil {
		_ = s.BreakJob(ctx, j, JobLease, err.Error())
		return nil, err
	}
	return j, nil
}

// parse reads what claimJobScript returned.
func (j *Job) parse(row []any) error {
	var f []string
	for _, field := range row {
		text, ok := field.(string)
		if !ok {
			return fmt.Errorf("job %s is damaged: a field is missing", j.ID)
		}
		f = append(f, text)
	}
	j.Kind, j.data, j.Since = f[1], f[2], moment(f[4])
	var wrong [2]error
	j.Attempts, wrong[0] = strconv.Atoi(f[3])
	j.Done, wrong[1] = strconv.Atoi(f[5])
	if err := errors.Join(wrong[:]...); err != nil || j.Since.IsZero() {
		return fmt.Errorf("job %s is damaged: a count or moment of it is not a number", j.ID)
	}
	return nil
}

// endJobScript ends an attempt. ARGV: id, token, ms until the next ("": the job is done), ms that a done one is known,
// the first line of the defect that ended it or "", and 1 where it does not count. Output: "ok" or "lost".
var endJobScript = drain(lanes + parking + `
local key = P .. 'j:' .. ARGV[1]
if redis.call('HGET', key, 'tok') ~= ARGV[2] then return 'lost' end
redis.call('HDEL', key, 'tok')
if ARGV[3] ~= '' then
  if ARGV[6] then redis.call('HINCRBY', key, 'attempts', -1) end
  local never = ARGV[5] ~= '' and defect(key, ARGV[5])
  if never then park(ARGV[1], never) else dueAt(ARGV[1], now + ARGV[3]) end
else
  redis.call('HDEL', key, 'defects', 'parked')
  undue(ARGV[1])
  redis.call('HDEL', key, 'data')
  redis.call('HINCRBY', key, 'done', 1)
  redis.call('HSET', key, 'ended', int(now))
  redis.call('PEXPIRE', key, ARGV[4])
end
return 'ok'
`)

// FinishJob ends a job. It stays known for a while, so that the same ID does not do it again. ErrLost.
func (s *Store) FinishJob(ctx context.Context, j *Job, known time.Duration) error {
	return s.wordAt(ctx, j.at, endJobScript, j.ID, j.token, "", max(known, time.Second).Milliseconds(), "")
}

// RetryJob ends an attempt that has to be made again. ErrLost.
func (s *Store) RetryJob(ctx context.Context, j *Job, in time.Duration) error {
	return s.wordAt(ctx, j.at, endJobScript, j.ID, j.token, in.Milliseconds(), "", "")
}

// WaitJob is RetryJob for an attempt that could not begin: it does not count as one. ErrLost.
func (s *Store) WaitJob(ctx context.Context, j *Job, in time.Duration) error {
	return s.wordAt(ctx, j.at, endJobScript, j.ID, j.token, in.Milliseconds(), "", "", 1)
}

// BreakJob is RetryJob for an attempt that a defect of ours has ended, whose first line is what. After ParkAfter of
// them the job is parked. ErrLost.
func (s *Store) BreakJob(ctx context.Context, j *Job, in time.Duration, what string) error {
	return s.wordAt(ctx, j.at, endJobScript, j.ID, j.token, in.Milliseconds(), "", what)
}

// renewJobScript: ARGV: id, token, lease ms. Output: "ok" or "lost".
var renewJobScript = drain(lanes + `
if redis.call('HGET', P .. 'j:' .. ARGV[1], 'tok') ~= ARGV[2] then return 'lost' end
dueAt(ARGV[1], now + ARGV[3])
return 'ok'
`)

// RenewJob renews the lease. ErrLost.
func (s *Store) RenewJob(ctx context.Context, j *Job) error {
	return s.wordAt(ctx, j.at, renewJobScript, j.ID, j.token, JobLease.Milliseconds())
}

// saveJobScript: ARGV: id, token, data, lease ms. Output: "ok" or "lost".
var saveJobScript = drain(lanes + `
local key = P .. 'j:' .. ARGV[1]
if redis.call('HGET', key, 'tok') ~= ARGV[2] then return 'lost' end
redis.call('HSET', key, 'data', ARGV[3])
dueAt(ARGV[1], now + ARGV[4])
return 'ok'
`)

// SaveJob keeps how far a job is, and renews its lease. ErrLost.
func (s *Store) SaveJob(ctx context.Context, j *Job, v any) error {
	data, err := s.jobData(j.ID, j.Kind, v)
	if err != nil {
		return err
	}
	return s.wordAt(ctx, j.at, saveJobScript, j.ID, j.token, data, JobLease.Milliseconds())
}

// Jobs wait in four lanes, so that what other sites ask for never delays what our own users do, and one user no other.
// Reports are in the set jobs, by when they are due: one for each recall. Of what others asked for the ID begins with
// "in:ASKER:", of requests of our own users with "us:ASKER:", and of claw backs with "op:DOMAIN:", the domain of the
// mailboxes. Each asker has a set of their own, such as jobs:in:ASKER, and jobs:in, jobs:us and jobs:op have the askers
// by when their turn is: when their first job is due, or when one was taken last. So askers take turns, however many
// jobs one of them has.

// Lane is where jobs are claimed.
type Lane struct {
	way  string // "in", "us", "op", or "" for reports
	busy []string
}

// OurLane has the reports to our own users.
var OurLane = Lane{}

// UserLane has what our own users asked for; those of busy askers are passed by.
func UserLane(busy ...string) Lane { return Lane{way: "us", busy: busy} }

// TheirLane has the jobs that other sites asked for; those of busy askers are passed by.
func TheirLane(busy ...string) Lane { return Lane{way: "in", busy: busy} }

// OperatorLane has claw backs, by the domains of their mailboxes; those of busy domains are passed by.
func OperatorLane(busy ...string) Lane { return Lane{way: "op", busy: busy} }

// JobIDPrefix begins the ID of a job that another site asked for.
func JobIDPrefix(asker string) string { return "in:" + strings.ReplaceAll(asker, ":", "_") + ":" }

// UserJobIDPrefix begins the ID of a job that one of our own users asked for.
func UserJobIDPrefix(asker string) string {
	if asker == "" {
		return ""
	}
	return "us:" + strings.ReplaceAll(asker, ":", "_") + ":"
}

// OperatorJobIDPrefix begins the ID of a job of a claw back in the mailboxes of a domain.
func OperatorJobIDPrefix(domain string) string {
	return "op:" + strings.ReplaceAll(domain, ":", "_") + ":"
}

// Requester is who asked for a job, or the domain that a claw back is for; "": nobody in particular.
func (j *Job) Requester() string {
	way, rest, _ := strings.Cut(j.ID, ":")
	if way != "in" && way != "us" && way != "op" {
		return ""
	}
	asker, _, _ := strings.Cut(rest, ":")
	return asker
}

// lanes is the part of scripts that knows where jobs wait.
var lanes = lua("lanes")

// claimIn claims in some lanes of the whole store, all of them when none is named: the job that has been due for
// longest, or of askers the one whose turn it is.
func (s *Store) claimIn(ctx context.Context, lane Lane) (*Job, error) {
	set := map[string]func(nodes.Shard) string{"": jobsKey, "us": usersKey, "op": operatorsKey,
		"in": requestersKey}[lane.way]
	if len(s.nodes.Shards) == 1 {
		return s.claimJobAt(ctx, s.nodes.Shards[0], lane)
	}
	all, now, err := s.nodes.Heads(ctx, set)
	for _, h := range all {
		if h.Score > float64(now.UnixMilli()) {
			break
		}
		j, wrong := s.claimJobAt(ctx, h.At, lane)
		if j != nil {
			return j, nil
		}
		if wrong != nil {
			err = wrong
		}
	}
	return nil, err
}

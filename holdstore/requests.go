package holdstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// Request is what one recall request is about.
type Request struct {
	RequestID  string `json:"q"`
	Hold       string `json:"h"`
	Domain     string `json:"d"` // of all its recipients
	Recipients []int  `json:"r"` // indexes
	Reason     string `json:"y,omitempty"`
	Keyless    bool   `json:"k,omitempty"` // somebody else used the Message-ID: the request goes without a Cancel-Key
	Asker      string `json:"-"`           // whose requests take turns with others'; see Hold.Asker
}

// News that come after a report are gathered for a while, and make another one. So that nobody can have a sender
// flooded, further ones wait until a day has passed since the last.
const (
	newsGather  = time.Minute // or less, when less was waited for answers
	reportPause = 24 * time.Hour
)

// maxAnswers is how many answers for one recipient count: whoever was asked can write them, and a trail is for what
// people did. That it was retracted counts always, and is the last.
const maxAnswers = 10

// seenLen is how many characters of its digest an answer is known by.
const seenLen = 16

// maxDetail is how many bytes are kept of one recipient's answer.
const maxDetail = 300

// reportMoves is the part of scripts that knows the report on a hold, which is one job however often it is written.
var reportMoves = jobMoves + lua("report", "REPORT_PAUSE", reportPause.Milliseconds())

// requestScript notes that gateways are asked: request.lua.
var requestScript = drain(reportMoves + lua("request"))

// RequestRecall notes in one step that the gateways of recipients are asked to take a released message back, and adds
// the jobs that do it: a request each, and after within the report to the sender; one that was due sooner waits for it.
// ErrTooLate: it is not released yet; ErrNotNow: all were asked before.
func (s *Store) RequestRecall(
	ctx context.Context, id string, all []Request, within time.Duration, a Actor,
) (*Hold, error) {
	keep := max(s.recordTime(), within+24*time.Hour)
	report, err := s.reportData(id)
	if err != nil {
		return nil, err
	}
	args := []any{within.Milliseconds(), keep.Milliseconds(), JobRequest, JobReport,
		min(within, newsGather).Milliseconds(), report}
	var domains []string
	for _, asked := range all {
		b, err := json.Marshal(asked)
		if err != nil {
			return nil, err
		}
		id := UserJobIDPrefix(asked.Asker) + "ask:" + asked.RequestID
		job, err := s.jobData(id, JobRequest, asked)
		if err != nil {
			return nil, err
		}
		args = append(args, b, s.seal.WrapSmall(b, requestPlace(asked.RequestID)), id, job)
		domains = append(domains, asked.Domain)
	}
	detail := cut("the gateways of "+strings.Join(domains, " "), maxLine)
	h, err := s.act(ctx, requestScript, "asked", id, detail, a, args...)
	if err == nil && h.MessageID != "" {
		s.noteRequest(ctx, h, keep)
	}
	return h, err
}

// requestsMost is how many messages of one Message-ID are looked at.
const requestsMost = 20

// noteRequest notes under which Message-ID a hold was asked for, so that nobody has to look at all that have it:
// anybody can write a receipt for any Message-ID. Without it no receipt is noted.
func (s *Store) noteRequest(ctx context.Context, h *Hold, keep time.Duration) {
	key := requestKey(s.nodes.Of(digest(h.MessageID)), "m:"+digest(h.MessageID))
	pipe := s.nodes.Client.Pipeline()
	pipe.ZAdd(ctx, key, redis.Z{Score: float64(h.HeldAt.UnixMilli()), Member: h.ID})
	pipe.PExpire(ctx, key, keep)
	pipe.Exec(ctx)
}

// RequestsOf returns the newest messages with a Message-ID whose recipients' gateways were asked.
func (s *Store) RequestsOf(ctx context.Context, messageID string) ([]*Hold, error) {
	key := requestKey(s.nodes.Of(digest(messageID)), "m:"+digest(messageID))
	ids, err := s.nodes.Client.ZRevRange(ctx, key, 0, requestsMost-1).Result()
	if err != nil {
		return nil, nodes.Explain(err)
	}
	holds, _, err := s.loadEach(ctx, ids)
	return slices.DeleteFunc(holds, func(h *Hold) bool { return h.MessageID != messageID }), err
}

// reportData is what is stored for the report on a hold. Only a gateway makes one, so nobody who writes to Redis has
// a sender told of a recall that nobody has asked for.
func (s *Store) reportData(id string) ([]byte, error) { return s.jobData("report:"+id, JobReport, id) }

func requestPlace(id string) seal.Place {
	return seal.Place{ID: id, Staging: "request", Last: true}
}

// Request returns what a request is about. ErrNotFound: we never made it, or long ago.
func (s *Store) Request(ctx context.Context, requestID string) (Request, error) {
	var a Request
	shards, away := s.nodes.Visible(ctx) // where a server is away, the request may be there, or at another one
	pipe := s.nodes.Client.Pipeline()
	// it is kept with its hold, whose ID the request does not tell
	replies := make([]*redis.StringCmd, len(shards))
	for n, at := range shards {
		replies[n] = pipe.Get(ctx, requestKey(at, requestID))
	}
	pipe.Exec(ctx)
	for _, r := range replies {
		text, err := r.Bytes()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			away = cmp.Or(away, nodes.Explain(err))
			continue
		}
		text, err = s.seal.Unwrap(text, requestPlace(requestID))
		if errors.Is(err, ErrDamaged) { // somebody else wrote it into the store
			continue
		}
		if err != nil {
			return a, err
		}
		return a, json.Unmarshal(text, &a)
	}
	return a, cmp.Or(away, fmt.Errorf("no request has this ID: %w", ErrNotFound))
}

// answerScript writes what became of recipients. What is retracted stays retracted, and what was said of a recipient
// before is not noted: it is somebody's copy of an old answer. ARGV: id, event, kind and data of the report, who
// answers, what, then index and result of each. Output: "ok", "same", or "none".
var answerScript = drain(reportMoves + `
local id, changed = ARGV[1], false
if not get(id, 'state') then return 'none' end
for i = 7, #ARGV, 2 do
  local old, new = result(id, ARGV[i]), cjson.decode(ARGV[i + 1])
  local seen, said = old.s or '', string.sub(redis.sha1hex(ARGV[i + 1]), 1, ` + fmt.Sprint(seenLen) + `)
  local counts = #seen < ` + fmt.Sprint(maxAnswers*seenLen) + ` or new.o == 'retracted'
  if old.o ~= 'retracted' and counts and not string.find(seen, said, 1, true) then
    new.t, new.s = now, seen .. said
    set(id, 'r' .. ARGV[i], cjson.encode(new))
    changed = true
  end
end
if not changed then return 'same' end
note(id, ARGV[2])
audit(id, 'answered', ARGV[5], '', '', ARGV[6])
news(id, ARGV[3], ARGV[4])
return 'ok'
`)

// Answer is what another gateway says about one recipient.
type Answer struct {
	Recipient int // index
	Outcome   Outcome
	Detail    string
}

// AddAnswers writes answers to a request. When nobody is left who was asked and has not answered, the report is due;
// later news make another one.
func (s *Store) AddAnswers(ctx context.Context, id, from string, answers []Answer) error {
	var words []string
	var args []any
	for _, a := range answers {
		a.Detail = cut(strings.ToValidUTF8(a.Detail, "\uFFFD"), maxDetail)
		b, err := json.Marshal(storedResult{Outcome: a.Outcome, Detail: a.Detail,
			Proof: s.seal.ResultProof(id, a.Recipient, string(a.Outcome), a.Detail)})
		if err != nil {
			return err
		}
		args = append(args, a.Recipient, b)
		words = append(words, strings.TrimSpace(fmt.Sprintf("recipient %d: %s %s", a.Recipient+1, a.Outcome, a.Detail)))
	}
	detail := cut(strings.Join(words, "; "), maxLine)
	event := eventLine(Event{Verb: "answered", By: from, Detail: detail})
	report, err := s.reportData(id)
	if err != nil {
		return err
	}
	args = append([]any{id, event, JobReport, report, from, detail}, args...)
	w, err := s.nodes.RunDurable(ctx, s.nodes.Of(id), answerScript, args...).Text()
	if err != nil {
		return nodes.Explain(err)
	}
	if w == "same" {
		return nil
	}
	return outcome(w, id)
}

// silentScript ends the wait for answers. ARGV: id, event, detail. Output: "ok" or "none".
var silentScript = drain(`
local id, ended = ARGV[1], false
if not get(id, 'state') then return 'none' end
for n = 0, num(id, 'nrcpt') - 1 do
  if result(id, n).o == 'requested' then
    set(id, 'r' .. n, cjson.encode({o = 'unknown', d = ARGV[3], t = now}))
    ended = true
  end
end
if ended then note(id, ARGV[2]) end
return 'ok'
`)

// StopWaiting says of all recipients that were asked and have not answered that nothing is known of them, and returns
// the hold.
func (s *Store) StopWaiting(ctx context.Context, id string) (*Hold, error) {
	if err := s.word(ctx, silentScript, id, eventLine(Event{Verb: "unanswered"}), noAnswer); err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}

// noteScript: ARGV: id, event. Output: "ok" or "none".
var noteScript = drain(`
if not get(ARGV[1], 'state') then return 'none' end
note(ARGV[1], ARGV[2])
return 'ok'
`)

// Note adds a line to the timeline of a hold.
func (s *Store) Note(ctx context.Context, id string, e Event) error {
	return s.word(ctx, noteScript, id, eventLine(e))
}

// newsScript: ARGV: id, event, kind and data of the report. Output: "ok" or "none".
var newsScript = drain(reportMoves + `
if not get(ARGV[1], 'state') then return 'none' end
note(ARGV[1], ARGV[2])
news(ARGV[1], ARGV[3], ARGV[4])
return 'ok'
`)

// News adds a line to the timeline that its sender hears of: in the report, or when that has gone out, in another one.
func (s *Store) News(ctx context.Context, id string, e Event) error {
	report, err := s.reportData(id)
	if err != nil {
		return err
	}
	return s.replicatedWord(ctx, newsScript, id, s.newsLine(id, e), JobReport, report)
}

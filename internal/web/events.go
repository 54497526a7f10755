package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
)

// Bounds of the streams of events.
const (
	streamsMost = 2000      // of one server
	streamsPer  = 20        // of one person or token
	streamTime  = time.Hour // then a client connects again
	streamBeat  = 15 * time.Second
	streamWrite = 10 * time.Second
	streamHolds = 100              // the newest of a person that are watched
	streamAgain = 10 * time.Second // before its last event, a client that comes back hears again
)

// Times of a stream; tests set them lower.
var (
	streamPause = 2 * time.Second  // between two looks at the store
	streamProof = 10 * time.Second // between two questions who the caller is
)

// apiEvents streams each change of what the caller may see (server-sent events). A client that comes back with the
// Last-Event-ID of what it has seen hears of what changed since.
func (s *Server) apiEvents(_ *http.Request, c *caller) (any, error) {
	return s.stream(c, c.name, nil, func(ctx context.Context, c *caller) ([]*holdstore.Hold, error) {
		q := search{limit: streamHolds}
		q.States = anyStates
		p, err := s.list(ctx, c, q)
		return p.holds, err
	})
}

// holdEvents streams the changes of one hold to its page, which says what it has seen: the hold may have changed
// between the page and its stream.
func (s *Server) holdEvents(w http.ResponseWriter, r *http.Request, c *caller, id string) {
	h, err := s.one(r.Context(), c, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	seen := map[string]string{id: r.FormValue("seen")}
	to, err := s.stream(c, s.listener(c, h), seen, func(ctx context.Context, c *caller) ([]*holdstore.Hold, error) {
		h, err := s.one(ctx, c, id)
		return []*holdstore.Hold{h}, err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	to.ServeHTTP(w, r)
}

// listener is who has only so many streams. A sender has a link for each message, and all of them together count.
func (s *Server) listener(c *caller, h *holdstore.Hold) string {
	if c.Hold == "" {
		return c.name
	}
	return "the links of " + cmp.Or(holdstore.Fold(h.Login), holdstore.Fold(h.Sender.Address))
}

// look returns what a caller may see of what a stream is about.
type look func(ctx context.Context, c *caller) ([]*holdstore.Hold, error)

// stream answers with the changes of what look returns, for somebody who has only so many streams; seen is what the
// client knows, nil: what Last-Event-ID says.
func (s *Server) stream(c *caller, who string, seen map[string]string, look look) (http.Handler, error) {
	leave, ok := s.streams.enter(who)
	if !ok {
		return nil, tooMany(60)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer leave()
		var last int64
		if id, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
			last = id
		}
		holds, err := look(r.Context(), c)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if seen == nil {
			seen = knownSince(holds, last)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Method == http.MethodHead {
			return // whatever only looks gets no stream, which would hold its connection
		}
		f := &flow{w: w, out: http.NewResponseController(w), seen: seen, look: look, json: s.json,
			again: func() (*caller, error) { return c.prove(r) }}
		f.run(r.Context(), c, holds)
	}), nil
}

// knownSince is what a client knows whose last event is of a moment; 0: all until now. Two changes can have one moment,
// one may have been read later than another that came after it, and servers of a Cluster have their own clocks. So what
// changed shortly before is told again.
func knownSince(holds []*holdstore.Hold, last int64) map[string]string {
	seen := map[string]string{}
	for _, h := range holds {
		if last == 0 || changedAt(h) < last-streamAgain.Milliseconds() {
			seen[h.ID] = fingerprint(h)
		}
	}
	return seen
}

// flow is one stream under way.
type flow struct {
	w     http.ResponseWriter
	out   *http.ResponseController
	seen  map[string]string // what the client knows of each hold
	look  look
	again func() (*caller, error) // who the caller is now: their sign-in, token or rights may have ended
	json  func(*holdstore.Hold) holdjson.Hold
}

// run writes until the client goes, the time is over, the caller may not see it any more, or the store can't be asked:
// then the client connects again.
func (f *flow) run(ctx context.Context, c *caller, holds []*holdstore.Hold) {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	tick := time.NewTicker(streamPause)
	defer tick.Stop()
	stop := stopping(ctx).Done()
	text, beat, proven := ": hello\n\n", time.Now(), time.Now()
	for {
		slices.SortStableFunc(holds, func(a, b *holdstore.Hold) int { return cmp.Compare(changedAt(a), changedAt(b)) })
		for _, h := range holds {
			text += f.event(h)
		}
		holds = nil
		leaveRoom(ctx)
		if text == "" && time.Since(beat) > streamBeat {
			text = ": still here\n\n"
		}
		if text != "" && !f.write(text) {
			return
		} else if text != "" {
			text, beat = "", time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-tick.C:
		}
		var err error
		if time.Since(proven) > streamProof {
			if c, err = f.again(); err != nil || c.nobody() {
				return
			}
			proven = time.Now()
		}
		if holds, err = f.look(ctx, c); err != nil {
			return
		}
	}
}

func (f *flow) write(text string) bool {
	return f.out.SetWriteDeadline(time.Now().Add(streamWrite)) == nil && writeAll(f.w, text) && f.out.Flush() == nil
}

func writeAll(w http.ResponseWriter, text string) bool {
	_, err := w.Write([]byte(text))
	return err == nil
}

// event is what a client hears of a hold; empty: it knows it as it is.
func (f *flow) event(h *holdstore.Hold) string {
	now := fingerprint(h)
	if f.seen[h.ID] == now {
		return ""
	}
	f.seen[h.ID] = now
	body, _ := json.Marshal(f.json(h))
	return fmt.Sprintf("event: hold\nid: %d\ndata: %s\n\n", changedAt(h), body)
}

// changedAt is when something last happened to a hold, in milliseconds.
func changedAt(h *holdstore.Hold) int64 {
	last := h.HeldAt
	for _, e := range h.Timeline {
		if e.At.After(last) {
			last = e.At
		}
	}
	return last.UnixMilli()
}

// fingerprint tells whether a hold has changed.
func fingerprint(h *holdstore.Hold) string {
	var text strings.Builder // of tens of thousands of recipients
	text.WriteString(string(h.State) + h.Due.String())
	for _, r := range h.Results {
		text.WriteByte('\n')
		text.WriteString(string(r.Outcome))
	}
	return holdstore.Digest(text.String())
}

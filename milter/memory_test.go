package milter

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// memory is a store that keeps holds in memory, as the real one does: a second commit of the same content finds an
// unconfirmed first one.
type memory struct {
	onWrite, onCommit func(ctx context.Context) error // what the store is like today
	onConfirm         func()                          // nil: as always

	mu        sync.Mutex
	holds     []*holding
	confirmed []string
	begun     int
	abandoned int
	largest   int  // bytes of one Write
	forgetful bool // keeps no bodies
}

// holding is one message in memory.
type holding struct {
	m      *memory
	id     string
	sub    holdstore.Submission
	header []byte
	body   bytes.Buffer
	size   int64
	terms  holdstore.Terms
}

func newMemory() *memory {
	well := func(context.Context) error { return nil }
	return &memory{onWrite: well, onCommit: well}
}

func (m *memory) Put(sub holdstore.Submission, header []byte) Put {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun++
	return &holding{m: m, sub: sub, header: header, size: int64(len(header)) + 2}
}

func (m *memory) Confirm(r holdstore.Committed) {
	if m.onConfirm != nil {
		m.onConfirm()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.confirmed = append(m.confirmed, r.ID)
}

func (h *holding) Write(ctx context.Context, b []byte) error {
	if err := h.m.onWrite(ctx); err != nil {
		return err
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.size += int64(len(b))
	h.m.largest = max(h.m.largest, len(b))
	if !h.m.forgetful {
		h.body.Write(b)
	}
	return nil
}

func (h *holding) Size() int64 { return h.size }

func (h *holding) Commit(ctx context.Context, terms holdstore.Terms) (holdstore.Committed, error) {
	if err := h.m.onCommit(ctx); err != nil {
		return holdstore.Committed{}, err
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	for _, first := range h.m.holds {
		if !h.m.isConfirmed(first.id) && h.content() == first.content() {
			return holdstore.Committed{ID: first.id, Found: true}, nil
		}
	}
	h.id, h.terms = fmt.Sprintf("HOLD%d", len(h.m.holds)+1), terms
	h.m.holds = append(h.m.holds, h)
	return holdstore.Committed{ID: h.id}, nil
}

func (h *holding) Abandon() {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.m.abandoned++
}

func (m *memory) isConfirmed(id string) bool {
	for _, c := range m.confirmed {
		if c == id {
			return true
		}
	}
	return false
}

// content is what tells two messages apart.
func (h *holding) content() string {
	return fmt.Sprint(h.sub.Sender, h.sub.Recipients, h.sub.Login) + h.text()
}

// text is the message as it would be released.
func (h *holding) text() string { return string(h.header) + "\r\n" + h.body.String() }

// notes is a log that is kept.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) count(prefix string) (c int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range n.lines {
		if len(line) >= len(prefix) && line[:len(prefix)] == prefix {
			c++
		}
	}
	return c
}

func (n *notes) Held(_ holdstore.Submission, r holdstore.Committed, _ holdstore.Terms, _ int64) {
	n.add("held %s found=%v", r.ID, r.Found)
}
func (n *notes) Panicked(what string, _ any, stack []byte) {
	n.add("panicked %s in %t", what, bytes.Contains(stack, []byte(".go:")))
}
func (n *notes) Passed(_ holdstore.Submission, reason policy.Reason)  { n.add("passed %s", reason) }
func (n *notes) Skipped(_ holdstore.Submission, reason policy.Reason) { n.add("skipped %s", reason) }
func (n *notes) Unheld(_ holdstore.Submission, err error)             { n.add("unheld %v", err) }
func (n *notes) Deferred(_ holdstore.Submission, err error)           { n.add("deferred %v", err) }
func (n *notes) Trouble(msg string, err error)                        { n.add("trouble %s: %v", msg, err) }
func (n *notes) Recovered(msg string, lasted time.Duration) {
	n.add("recovered %s, after %v", msg, lasted)
}

package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// memory is a store with due holds.
type memory struct {
	mu      sync.Mutex
	due     []*holdstore.Claim
	settled []holdstore.Settlement
	rounds  int // calls of Progress
	content string
	away    int   // so many settlements find the store away
	broken  error // what reading the content ends with
	bell    chan struct{}
}

func (m *memory) NextDue(context.Context) (time.Duration, bool, error) { return 0, false, nil }
func (m *memory) Wake(context.Context) <-chan struct{}                 { return m.bell }
func (m *memory) Renew(context.Context, *holdstore.Claim) error        { return nil }
func (m *memory) Reap(context.Context) (holdstore.Reaped, error)       { return holdstore.Reaped{}, nil }

func (m *memory) Claim(_ context.Context, n int) ([]*holdstore.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, len(m.due))
	claims := m.due[:n]
	m.due = m.due[n:]
	return claims, nil
}

func (m *memory) Content(context.Context, *holdstore.Hold) io.Reader {
	if m.broken != nil {
		return io.MultiReader(strings.NewReader(m.content), failing{m.broken})
	}
	return strings.NewReader(m.content)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (m *memory) Header(context.Context, *holdstore.Hold) ([]byte, error) {
	header, _, _ := strings.Cut(m.content, "\r\n\r\n")
	return []byte(header + "\r\n"), nil
}

func (m *memory) BodyDigest(context.Context, *holdstore.Hold) ([]byte, error) {
	_, body, _ := strings.Cut(m.content, "\r\n\r\n")
	var d holdstore.BodyDigest
	io.WriteString(&d, body)
	return d.Sum(), nil
}

func (m *memory) Break(context.Context, *holdstore.Claim, time.Duration, string) error { return nil }

func (m *memory) Progress(_ context.Context, c *holdstore.Claim, results map[int]holdstore.Result) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rounds++
	for i, r := range results {
		c.Results[i] = r
	}
	return nil
}

func (m *memory) Settle(_ context.Context, c *holdstore.Claim, st holdstore.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away--; m.away >= 0 {
		return holdstore.ErrUnavailable
	}
	m.settled = append(m.settled, st)
	for i, r := range st.Results {
		c.Results[i] = r
	}
	c.Attempts++
	return nil
}

func (m *memory) SettleNext(ctx context.Context, c *holdstore.Claim, st holdstore.Settlement) (*holdstore.Claim,
	error) {
	if err := m.Settle(ctx, c, st); err != nil {
		return nil, err
	}
	next, err := m.Claim(ctx, 1)
	if len(next) == 0 {
		return nil, err
	}
	return next[0], err
}

// notes is a log that remembers.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(line string) { n.mu.Lock(); n.lines = append(n.lines, line); n.mu.Unlock() }
func (n *notes) Released(_ *holdstore.Hold, _ int, reply string, _ time.Duration) {
	n.add("released " + reply)
}
func (n *notes) Retried(_ *holdstore.Hold, detail string, _ time.Duration) {
	n.add("retried " + detail)
}
func (n *notes) Failed(_ *holdstore.Hold, to, detail string)  { n.add("failed " + to + " " + detail) }
func (n *notes) Bounced(_ *holdstore.Hold, to, detail string) { n.add("bounced " + to + " " + detail) }
func (n *notes) Trouble(msg string, err error)                { n.add("trouble " + msg + " " + errText(err)) }

func (n *notes) Recovered(msg string, lasted time.Duration) {
	n.add("recovered " + msg + " after " + lasted.String())
}

func (n *notes) Panicked(what string, v any, stack []byte) {
	n.add(fmt.Sprint("panicked ", what, " ", v, " ", len(stack) > 0))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (n *notes) text() string { n.mu.Lock(); defer n.mu.Unlock(); return strings.Join(n.lines, "\n") }

// claim is a hold that a fresh lease is on.
func claim(to ...string) *holdstore.Claim {
	c := holdstore.NewClaim(holdstore.Hold{}, "", time.Now().Add(time.Minute))
	c.Hold = holdstore.Hold{ID: "2222222233333", HeldAt: time.Now(), Due: time.Now(), Attempts: 1}
	c.Submission = holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"}, MessageID: "<1@corp.test>",
		Gateway: "gw.corp.test",
		Client:  holdstore.Client{Address: "192.0.2.7", Name: "pc.corp.test", HELO: "pc", Port: 4711}}
	for _, r := range to {
		c.Recipients = append(c.Recipients, holdstore.Path{Address: r})
		c.Results = append(c.Results, holdstore.Result{Outcome: holdstore.Pending})
	}
	return c
}

const message = "From: a@corp.test\r\nSubject: hello\r\n\r\nbody\r\n"

// attempted makes one attempt with one worker, as the loop would.
func attempted(t *testing.T, m *memory, p *port, c *holdstore.Claim) (*sender, *notes) {
	t.Helper()
	log := &notes{}
	s := &sender{loop: New(m, mark.New([]byte("secret")), log,
		Options{SMTP: p.addr, Received: ReceivedShort, Concurrency: 1, First: time.Second, Max: time.Minute,
			GiveUpAfter: time.Hour})}
	t.Cleanup(s.hangUp)
	s.release(t.Context(), t.Context(), c)
	return s, log
}

var errBroken = errors.New("broken")

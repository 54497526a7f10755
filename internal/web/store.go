package web

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
)

// Store is what the page needs of the hold store; holdstore.Store says what each method promises.
type Store interface {
	clawback.Store

	Get(ctx context.Context, id string) (*holdstore.Hold, error)
	RecordBytes(ctx context.Context, refs []string, who holdstore.Whose, newest int) (int64, error)
	Resolve(ctx context.Context, ref string) ([]*holdstore.Hold, error)
	Latest(ctx context.Context, who holdstore.Whose, n int, keep func(*holdstore.Hold) bool) ([]*holdstore.Hold, error)
	Find(ctx context.Context, q holdstore.Query) iter.Seq2[*holdstore.Hold, error]
	GetSome(ctx context.Context, ids []string) ([]*holdstore.Hold, error)
	Header(ctx context.Context, h *holdstore.Hold) ([]byte, error)
	Content(ctx context.Context, h *holdstore.Hold) io.Reader

	Release(ctx context.Context, id string, a holdstore.Actor) (*holdstore.Hold, error)
	Extend(ctx context.Context, id string, d time.Duration, a holdstore.Actor) (*holdstore.Hold, error)
	Restore(ctx context.Context, id string, a holdstore.Actor) (*holdstore.Hold, error)

	Bulk(ctx context.Context, d holdstore.Action, ids []string, a holdstore.Actor, told func([]holdstore.Acted)) error
	Recalling() holdstore.Action
	Releasing() holdstore.Action
	Extending(d time.Duration) holdstore.Action
	Restoring() holdstore.Action
	Pause(ctx context.Context, a holdstore.Actor) (changed bool, err error)
	Resume(ctx context.Context, a holdstore.Actor) (was bool, err error)

	Writable(ctx context.Context) error
	Ping(ctx context.Context) error
	Ready(ctx context.Context) error
	Stats(ctx context.Context) (holdstore.Stats, error)
	Paused(ctx context.Context) (*holdstore.Pause, error)
	LogBack(ctx context.Context, since, until time.Time) iter.Seq2[holdstore.Entry, error]

	ChooseGrace(ctx context.Context, names []string, grace *time.Duration, a holdstore.Actor) error
	ChosenGrace(ctx context.Context, names ...string) (*time.Duration, error)

	Token(ctx context.Context, digest string) (string, error)
	EndSessions(ctx context.Context, until time.Time, keep time.Duration, names ...string) error
	SessionsEnded(ctx context.Context, names ...string) ([]time.Time, error)
	FirstUse(ctx context.Context, what, user string, keep time.Duration) (bool, error)
	Count(ctx context.Context, per time.Duration, all ...holdstore.Tally) ([]int, error)
	Audit(ctx context.Context, verb, id string, a holdstore.Actor, detail string) error
}

package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// late is how long after its moment a hold or job is a finding: a lease ends, and a daemon that starts catches up, in
// less.
const late = 90 * time.Second

// holds looks at what is held.
func holds(ctx context.Context, s *Site, r report) {
	if s.Store == nil || errors.Is(s.NoStore, holdstore.ErrUnavailable) {
		return // the checks of Redis say why
	}
	stats, err := s.Store.Stats(ctx)
	if err != nil {
		r.warn("holds.unchecked", "recallctl doctor", "what is held could not be looked at: %s", words(err))
		return
	}
	found := 0
	counted := report(func(f Finding) { found++; r(f) })
	if p, err := s.Store.Paused(ctx); err == nil && p != nil {
		counted.warn("holds.paused", "recallctl resume", "releases are paused since %s by %s%s: what is due waits",
			p.At.Local().Format(time.DateTime), p.By, reason(p.Reason))
	} else {
		s.overdue(ctx, counted)
	}
	s.parked(ctx, counted)
	s.keys(ctx, counted)
	if found == 0 {
		r.fine("holds", "%d held, %d releasing, none overdue", stats.Count[holdstore.Held], stats.Count[holdstore.Releasing])
	}
}

func reason(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func (s *Site) overdue(ctx context.Context, r report) {
	if o, err := s.Store.OverdueHolds(ctx, late); err == nil && o.Count > 0 {
		r.bad("holds.overdue", startDaemon, "%d messages should have left, the first %v ago: no daemon takes them up",
			o.Count, o.By.Round(time.Second))
	}
	if o, err := s.Store.OverdueJobs(ctx, late); err == nil && o.Count > 0 {
		r.warn("holds.jobs", startDaemon,
			"%d requests, retractions or reports should have been done, the first %v ago: no daemon takes them up", o.Count,
			o.By.Round(time.Second))
	}
}

// namedMost is how many of what is parked a finding names.
const namedMost = 10

// parked looks for what nothing tries any more: a defect of the daemon has ended it several times, or its record can't
// be read. It also looks for keys that were of a type that nothing can use.
func (s *Site) parked(ctx context.Context, r report) {
	holds, jobs, err := s.Store.Parked(ctx, namedMost)
	if err != nil && !errors.Is(err, holdstore.ErrPartial) {
		return // the checks of Redis say why
	}
	if len(holds) > 0 {
		r.bad("holds.parked",
			"recallctl fsck # says why; then: recallctl release "+strings.Join(holds, " "),
			"these messages wait until somebody releases or recalls them, since a defect of the daemon has ended %d attempts "+
				"to send them, or their record is damaged: %s",
			holdstore.ParkAfter, strings.Join(holds, " "))
	}
	if len(jobs) > 0 {
		r.warn("holds.parked_jobs", "recallctl fsck --repair # and report the defect with its stack from the log",
			"a defect of the daemon has ended %d attempts of each of these requests, retractions or reports, and nothing "+
				"tries them any more: %s",
			holdstore.ParkAfter, strings.Join(jobs, " "))
	}
	if aside, err := s.Store.Aside(ctx, namedMost); err == nil && len(aside) > 0 {
		r.warn("holds.aside", "recallctl fsck --repair # says what to do with each",
			"something else than this program wrote to Redis: these keys were of a type that nothing can use, and were "+
				"renamed: %s", strings.Join(aside, " "))
	}
}

// keys looks whether everything held can be opened.
func (s *Site) keys(ctx context.Context, r report) {
	keys, err := wiring.SealKeys(s.Config.Seal.KeyFile)
	if errors.Is(err, fs.ErrPermission) {
		r.warn("holds.unchecked", asRoot, "whether all that is held can be opened was not looked at: %s", words(err))
	}
	if err != nil {
		return // the checks of files say why
	}
	usage, err := s.Store.SealUsage(ctx, nil)
	if err != nil {
		r.warn("holds.unchecked", "recallctl key status", "not all messages were looked at: %s", words(err))
		return
	}
	for _, key := range keys {
		delete(usage, holdstore.KeyID(key))
	}
	delete(usage, "")
	for id, n := range usage {
		r.bad("holds.key",
			byHand+"only a backup or another gateway of this store has the key: put it back into "+s.Config.Seal.KeyFile+
				", then: systemctl reload recall-milter",
			"%d messages are sealed with key %s, which is missing: they can't be sent", n, id)
	}
}

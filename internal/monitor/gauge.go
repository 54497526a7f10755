package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Store is what monitoring asks of the hold store.
type Store interface {
	Stats(ctx context.Context) (holdstore.Stats, error)
	NextDue(ctx context.Context) (time.Duration, bool, error)
	Paused(ctx context.Context) (*holdstore.Pause, error)
	Ready(ctx context.Context) error
	Writable(ctx context.Context) error
}

// scrapeTime bounds what a scrape waits for the store.
const scrapeTime = 2 * time.Second

// gauges reads the store's counts when they are asked for. Gateways that share a store all report the same ones:
// aggregate with max.
type gauges struct{ store Store }

const shared = " All gateways of a store report the same: aggregate with max."

var (
	holds   = prometheus.NewDesc(prefix+"holds", "Holds in the store, by state."+shared, []string{"state"}, nil)
	size    = prometheus.NewDesc(prefix+"store_bytes", "Bytes of the messages that wait."+shared, nil, nil)
	oldest  = prometheus.NewDesc(prefix+"oldest_held_seconds", "Age of the oldest message that waits."+shared, nil, nil)
	overdue = prometheus.NewDesc(prefix+"oldest_overdue_seconds",
		"How long ago the first message that is held became due; 0: none is overdue."+shared, nil, nil)
	known = prometheus.NewDesc(prefix+"remembered",
		"Messages that came in and are remembered, so that they can be recalled."+shared, nil, nil)
	knownIn = prometheus.NewDesc(prefix+"remembered_bytes",
		"Memory of the store that they take, at most a quarter of maxmemory."+shared, nil, nil)
	early = prometheus.NewDesc(prefix+"remembered_early_total",
		"Messages that were forgotten before inbound.remember had passed, because the store has no more room for them."+
			shared,
		nil, nil)
	pausing = prometheus.NewDesc(prefix+"paused",
		"1: somebody has paused the releases of the store (recallctl pause)."+shared,
		nil, nil)
	up = prometheus.NewDesc(prefix+"store_up", "1: the store answers and is durable as the config demands.", nil, nil)
)

func (g gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{holds, size, known, knownIn, early, oldest, overdue, pausing, up} {
		to <- d
	}
}

func (g gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	err := g.backlog(ctx, to)
	if err == nil {
		err = g.store.Ready(ctx)
	}
	gauge(to, up, map[bool]float64{true: 1}[err == nil])
}

// backlog tells what waits; nothing when the store is away.
func (g gauges) backlog(ctx context.Context, to chan<- prometheus.Metric) error {
	s, err := g.store.Stats(ctx)
	if err != nil {
		return err
	}
	due, any, err := g.store.NextDue(ctx)
	if err != nil {
		return err
	}
	pause, err := g.store.Paused(ctx)
	if err != nil {
		return err
	}
	gauge(to, pausing, map[bool]float64{true: 1}[pause != nil])
	for state, n := range s.Count {
		gauge(to, holds, float64(n), string(state))
	}
	gauge(to, size, float64(s.Bytes))
	gauge(to, known, float64(s.Remembering.Messages))
	gauge(to, knownIn, float64(s.Remembering.Bytes))
	to <- prometheus.MustNewConstMetric(early, prometheus.CounterValue, float64(s.Remembering.Early))
	age, late := 0.0, 0.0
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest).Seconds()
	}
	if any {
		late = max(0, -due.Seconds())
	}
	gauge(to, oldest, age)
	gauge(to, overdue, late)
	return nil
}

func gauge(to chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

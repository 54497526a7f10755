// Package monitor tells monitoring how the gateway does: metrics for Prometheus, and whether the daemon lives and is ready.
//
// Failure rules: labels are bounded and never an address; a store that is away makes its gauges disappear and
// recall_milter_store_up 0, and never keeps a scrape waiting for long.
package monitor

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/maillog"
)

// Metrics counts what the log is told. It is the log of all rooms.
type Metrics struct {
	*maillog.Log
	registry *prometheus.Registry

	verdicts, releases, commands *prometheus.CounterVec
	retractions                  *prometheus.CounterVec
	requests                     prometheus.Counter
	lateness, heldFor            prometheus.Histogram
	heldBytes, troubles          prometheus.Counter
}

// New returns metrics in front of a log. version is the daemon's.
func New(log *maillog.Log, store Store, version string) *Metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recall_milter_" + name, Help: help}, []string{label})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "recall_milter_" + name, Help: help})
	}
	m := &Metrics{Log: log, registry: prometheus.NewRegistry(),
		verdicts:    vec("verdicts_total", "Messages by what was done with them.", "verdict"),
		releases:    vec("releases_total", "Attempts of release by what came of them.", "result"),
		commands:    vec("commands_total", "Recall commands by mail, by what came of them.", "outcome"),
		retractions: vec("retractions_total", "Messages that other gateways asked for, by what became of them.", "outcome"),
		requests:    counter("requests_total", "Recall requests to other gateways."),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "recall_milter_release_lateness_seconds",
			Help: "From the due moment to the port's 250.", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 5, 30, 120, 600, 3600}}),
		heldFor: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "recall_milter_hold_seconds",
			Help: "From the hold to the release.", Buckets: []float64{1, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600}}),
		heldBytes: counter("held_bytes_total", "Bytes of the messages that were taken into hold."),
		troubles:  counter("troubles_total", "Lines in the log that tell of trouble."),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "recall_milter_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.verdicts, m.releases, m.commands, m.retractions, m.requests, m.lateness, m.heldFor, m.heldBytes, m.troubles, build, gauges{store},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, verdict := range []string{"hold", "hold_again", "pass", "skip", "unheld", "defer"} { // known from the start, at 0
		m.verdicts.WithLabelValues(verdict)
	}
	for _, result := range []string{"released", "retried", "failed", "bounced"} {
		m.releases.WithLabelValues(result)
	}
	return m
}

// Held counts and logs, as all methods here do; maillog.Log says what each means.
func (m *Metrics) Held(s holdstore.Submission, r holdstore.Receipt, t holdstore.Terms, size int64) {
	if r.Found {
		m.verdicts.WithLabelValues("hold_again").Inc()
	} else {
		m.verdicts.WithLabelValues("hold").Inc()
		m.heldBytes.Add(float64(size))
	}
	m.Log.Held(s, r, t, size)
}

// Passed counts and logs.
func (m *Metrics) Passed(s holdstore.Submission, reason string) {
	m.verdicts.WithLabelValues("pass").Inc()
	m.Log.Passed(s, reason)
}

// Skipped counts and logs.
func (m *Metrics) Skipped(s holdstore.Submission, reason string) {
	m.verdicts.WithLabelValues("skip").Inc()
	m.Log.Skipped(s, reason)
}

// Unheld counts and logs.
func (m *Metrics) Unheld(s holdstore.Submission, err error) {
	m.verdicts.WithLabelValues("unheld").Inc()
	m.Log.Unheld(s, err)
}

// Deferred counts and logs.
func (m *Metrics) Deferred(s holdstore.Submission, err error) {
	m.verdicts.WithLabelValues("defer").Inc()
	m.Log.Deferred(s, err)
}

// Commanded counts and logs.
func (m *Metrics) Commanded(s holdstore.Submission, form, outcome, detail string) {
	m.commands.WithLabelValues(strings.ReplaceAll(outcome, " ", "_")).Inc()
	m.Log.Commanded(s, form, outcome, detail)
}

// Asked counts and logs.
func (m *Metrics) Asked(h *holdstore.Hold, domain, requestID string) {
	m.requests.Inc()
	m.Log.Asked(h, domain, requestID)
}

// Retracted counts and logs.
func (m *Metrics) Retracted(messageID, recipient, requestID, outcome, detail string) {
	m.retractions.WithLabelValues(outcome).Inc()
	m.Log.Retracted(messageID, recipient, requestID, outcome, detail)
}

// Released counts and logs.
func (m *Metrics) Released(h *holdstore.Hold, recipients int, reply string, late time.Duration) {
	m.releases.WithLabelValues("released").Inc()
	m.lateness.Observe(late.Seconds())
	m.heldFor.Observe(time.Since(h.HeldAt).Seconds())
	m.Log.Released(h, recipients, reply, late)
}

// Retried counts and logs.
func (m *Metrics) Retried(h *holdstore.Hold, detail string, in time.Duration) {
	m.releases.WithLabelValues("retried").Inc()
	m.Log.Retried(h, detail, in)
}

// Failed counts and logs.
func (m *Metrics) Failed(h *holdstore.Hold, recipient, detail string) {
	m.releases.WithLabelValues("failed").Inc()
	m.Log.Failed(h, recipient, detail)
}

// Bounced counts and logs.
func (m *Metrics) Bounced(h *holdstore.Hold, to, detail string) {
	m.releases.WithLabelValues("bounced").Inc()
	m.Log.Bounced(h, to, detail)
}

// Trouble counts and logs.
func (m *Metrics) Trouble(msg string, err error) {
	m.troubles.Inc()
	m.Log.Trouble(msg, err)
}

// Store is what monitoring asks of the hold store.
type Store interface {
	Stats(ctx context.Context) (holdstore.Stats, error)
	Ready(ctx context.Context) error
}

// scrapeTime bounds what a scrape waits for the store.
const scrapeTime = 2 * time.Second

// gauges reads the store's counts when they are asked for. Gateways that share a store all report the same ones:
// aggregate with max.
type gauges struct{ store Store }

var (
	holds  = prometheus.NewDesc("recall_milter_holds", "Holds in the store, by state.", []string{"state"}, nil)
	size   = prometheus.NewDesc("recall_milter_store_bytes", "Bytes of the messages that wait.", nil, nil)
	oldest = prometheus.NewDesc("recall_milter_oldest_held_seconds", "Age of the oldest message that waits.", nil, nil)
	up     = prometheus.NewDesc("recall_milter_store_up", "1: the store answers and is durable as the config demands.", nil, nil)
)

func (g gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{holds, size, oldest, up} {
		to <- d
	}
}

func (g gauges) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	s, err := g.store.Stats(ctx)
	if err == nil {
		for state, n := range s.Count {
			gauge(holds, float64(n), string(state))
		}
		gauge(size, float64(s.Bytes))
		age := 0.0
		if !s.Oldest.IsZero() {
			age = time.Since(s.Oldest).Seconds()
		}
		gauge(oldest, age)
		err = g.store.Ready(ctx)
	}
	gauge(up, map[bool]float64{true: 1}[err == nil])
}

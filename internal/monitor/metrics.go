// Package monitor tells monitoring how the gateway does: metrics for Prometheus, and whether the daemon lives and is
// ready.
//
// Failure rules: labels are bounded and never an address; a store that is away makes its gauges disappear and
// recall_milter_store_up 0, and never keeps a scrape waiting for long.
package monitor

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/monitor/metricname"
)

// Metrics counts what the log is told. It is the log of all rooms.
type Metrics struct {
	*maillog.Log
	registry *prometheus.Registry

	verdicts, ruleHolds, releases *prometheus.CounterVec
	commands, inbound, acts       *prometheus.CounterVec
	retractions, storeErrors      *prometheus.CounterVec
	storeTime                     *prometheus.HistogramVec
	lateness, heldFor             prometheus.Histogram
	heldBytes, troubles, requests prometheus.Counter
	accepted, unreadable          prometheus.Counter
	sessions                      prometheus.Gauge
	panics                        prometheus.Counter
	reloads                       reloads

	mu      sync.Mutex
	waiting []string // changed keys of the config that need a restart
}

// New returns metrics in front of a log. version is the daemon's.
func New(log *maillog.Log, store Store, version string) *Metrics {
	m := &Metrics{Log: log, registry: prometheus.NewRegistry(),
		verdicts:  counters("verdicts_total", "Messages by what was done with them, and why.", "verdict", "reason"),
		ruleHolds: counters("rule_holds_total", "Messages that were taken into hold, by the rule that held them.", "rule"),
		releases:  counters("releases_total", "Attempts of release by what came of them.", "result"),
		commands: counters("commands_total", "Recall commands by mail from our own users, by what came of them.",
			"outcome"),
		inbound: counters("inbound_recalls_total", "Recall commands that came in from other sites, by what they are worth.",
			"verdict"),
		acts: counters("acts_total", "What people did to holds, by recallctl or by mail; all gateways of a store count "+
			"the same: aggregate with max.", "verb"),
		retractions: counters("retractions_total", "Messages that other gateways asked for, by what became of them.",
			"outcome"),
		storeErrors: counters("store_errors_total", "What the hold store could not do, and why.", "operation", "kind"),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + "store_seconds",
			Help:    "How long the hold store took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}}, []string{"operation"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "release_lateness_seconds",
			Help: "From the due moment to the port's 250.", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 5, 30, 120, 600,
				3600}}),
		heldFor: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "hold_seconds",
			Help: "From the hold to the release.", Buckets: []float64{1, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600,
				24 * 3600}}),
		heldBytes: counter("held_bytes_total", "Bytes of the messages that were taken into hold."),
		troubles:  counter("troubles_total", "Lines in the log that tell of trouble."),
		unreadable: counter("unreadable_total", "Attempts of release for which the store did not give the message: its "+
			"seal key or a piece is missing, or it was changed."),
		requests: counter("requests_total", "Recall requests to other gateways."),
		accepted: counter("sessions_total", "Connections of the MTA."),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "sessions",
			Help: "Connections of the MTA that are open."}),
	}
	m.panics, m.reloads = counter("panics_total", "Defects of the program that ended one message or task."), newReloads()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "build_info",
		Help:        "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.verdicts, m.ruleHolds, m.releases, m.commands, m.inbound, m.acts, m.retractions,
		m.storeErrors, m.storeTime,
		m.lateness, m.heldFor, m.heldBytes, m.troubles, m.unreadable, m.requests, m.accepted, m.sessions, build,
		gauges{store},
		m.panics, m.reloads.waiting, m.reloads.failing, m.reloads.sum,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

const prefix = metricname.Prefix

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
}

// begin makes what alerts ask for known at 0 from the start: a series that appears with its first event has no
// increase.
func (m *Metrics) begin() {
	m.verdicts.WithLabelValues("hold", "rule")
	for _, verdict := range []string{"unheld", "defer"} {
		for _, kind := range storeKinds {
			m.verdicts.WithLabelValues(verdict, kind)
		}
	}
	for _, result := range []string{"released", "retried", "failed", "bounced"} {
		m.releases.WithLabelValues(result)
	}
	for _, verdict := range []string{"pass", "none", "fail", "temperror"} {
		m.inbound.WithLabelValues(verdict)
	}
	for _, verb := range verbs {
		m.acts.WithLabelValues(verb)
	}
}

package monitor

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/recall-milter/recall-milter/internal/monitor/metricname"
)

// reloads tells what became of the last reload of the config.
type reloads struct {
	waiting *prometheus.GaugeVec
	failing prometheus.Gauge
	sum     *prometheus.GaugeVec
}

func newReloads() reloads {
	return reloads{
		prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricname.NeedsRestart,
			Help: "Always 1; the label is a key of the config that was changed and needs a restart."}, []string{"key"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: metricname.ReloadFailing,
			Help: "1: the config was refused at the last reload, and the old one is in force."}),
		prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricname.ConfigSum,
			Help: "Always 1; the label is the SHA-256 of the config file as the daemon has read it."}, []string{"sha256"}),
	}
}

// Read publishes which text of the config file is in force.
func (m *Metrics) Read(sum string) {
	m.reloads.sum.Reset()
	m.reloads.sum.WithLabelValues(sum).Set(1)
}

// Reloaded counts and logs; sum is that of the file, and waiting are the changed keys that need a restart.
func (m *Metrics) Reloaded(file, sum string, waiting []string) {
	m.Read(sum)
	m.mu.Lock()
	m.waiting = slices.Clone(waiting)
	m.mu.Unlock()
	m.reloads.failing.Set(0)
	m.reloads.waiting.Reset()
	for _, key := range waiting {
		m.reloads.waiting.WithLabelValues(key).Set(1)
	}
	m.Log.Reloaded(file, waiting)
}

// ReloadRefused counts and logs.
func (m *Metrics) ReloadRefused(file string, wrong []string) {
	m.reloads.failing.Set(1)
	m.troubles.Inc()
	m.Log.ReloadRefused(file, wrong)
}

// restart says which keys wait for a restart; "" when none does.
func (m *Metrics) restart() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		return ""
	}
	return "changed, and waiting for a restart: " + strings.Join(m.waiting, " ")
}

package monitor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/recall-milter/recall-milter/internal/lists"
	"github.com/recall-milter/recall-milter/internal/monitor/metricname"
)

var (
	listFailing = prometheus.NewDesc(metricname.ListFailing,
		"1: the file of a list is not taken as it is now, and the entries that it had stay in force.", []string{"list"}, nil)
	listEntries = prometheus.NewDesc(prefix+"list_entries", "Entries of a list that are in force.", []string{"list"}, nil)
)

// listGauges tells how the lists in files are; their number is that of the config.
type listGauges struct{ set *lists.Set }

func (g listGauges) Describe(to chan<- *prometheus.Desc) {
	to <- listFailing
	to <- listEntries
}

func (g listGauges) Collect(to chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, f := range g.set.Files() {
		if seen[f.Name()] { // it is a list and a map
			continue
		}
		seen[f.Name()] = true
		gauge(to, listFailing, map[bool]float64{true: 1}[f.Trouble() != ""], f.Name())
		gauge(to, listEntries, float64(f.Len()), f.Name())
	}
}

// Watch publishes how the lists of a set are.
func (m *Metrics) Watch(set *lists.Set) { m.registry.MustRegister(listGauges{set}) }

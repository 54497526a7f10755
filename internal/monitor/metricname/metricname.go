// Package metricname has the names of those metrics that recallctl doctor reads. They are apart from package monitor,
// so that recallctl does not link what serves metrics.
package metricname

// Prefix begins the names of all metrics.
const Prefix = "recall_milter_"

// Metrics that say what is wrong with the config and the lists of a running daemon.
const (
	NeedsRestart  = Prefix + "config_needs_restart"  // label key: a setting that has changed and needs a restart
	ReloadFailing = Prefix + "config_reload_failing" // 1: the last reload was refused
	ConfigSum     = Prefix + "config_sum"            // label sha256: of the config that is in force
	ListFailing   = Prefix + "list_failing"          // label list: one that can't be read again
)

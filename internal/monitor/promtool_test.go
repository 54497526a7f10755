package monitor

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/test/server"
)

const alerts = "../../packaging/prometheus/alerts.yml"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPromtoolTakesTheAlertsAndTheirTests(t *testing.T) {
	server.Promtool(t, "", "check", "rules", alerts)
	server.Promtool(t, "", "test", "rules", "../../packaging/prometheus/alerts_test.yml")
	tests := read(t, "../../packaging/prometheus/alerts_test.yml")
	for _, name := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, alerts), -1) {
		if !regexp.MustCompile(`alertname: ` + name[1] + `\s+exp_alerts:`).MatchString(tests) {
			t.Errorf("%s is nowhere seen to fire", name[1])
		}
	}
}

func TestPromtoolTakesTheMetrics(t *testing.T) {
	alive := true
	m, get := monitored(t, &fixed{}, &alive)
	m.took("commit", time.Now(), nil)
	_, text := get("/metrics")
	if said := server.Promtool(t, text, "check", "metrics"); said != "" {
		t.Error(said)
	}
}

// names lists our metrics; a histogram's series have endings of their own.
func names(t *testing.T) map[string]bool {
	t.Helper()
	m := New(maillog.New(zap.NewNop(), false), &fixed{}, "1")
	for _, v := range []interface{ Inc() }{m.commands.WithLabelValues("x"), m.retractions.WithLabelValues("x"),
		m.ruleHolds.WithLabelValues("x"),
		m.storeErrors.WithLabelValues("commit", "full")} {
		v.Inc()
	}
	m.took("commit", time.Now(), nil)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), prefix) {
			all[f.GetName()] = true
		}
	}
	return all
}

func TestAlertsAskForMetricsThatThereAre(t *testing.T) {
	known := names(t)
	for _, name := range regexp.MustCompile(`recall_milter_\w+`).FindAllString(read(t, alerts), -1) {
		if !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("%s is not a metric", name)
		}
	}
}

func TestTheManualNamesEveryMetric(t *testing.T) {
	manual := read(t, "../../docs/monitoring.md")
	for name := range names(t) {
		if !strings.Contains(manual, "`"+strings.TrimPrefix(name, prefix)) {
			t.Errorf("%s is not in docs/monitoring.md", name)
		}
	}
}

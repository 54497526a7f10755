package monitor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/test/server"
)

// panel is what the test reads of a panel of Grafana's.
type panel struct {
	Title   string
	Type    string
	Targets []struct{ Expr, LegendFormat string }
}

func dashboard(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal([]byte(read(t, "../../packaging/grafana/recall-milter.json")), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatal("no panel")
	}
	return d.Panels
}

// asked matches our metrics in an expression, and those of Go and the process that /metrics has next to them.
var asked = regexp.MustCompile(`\b(recall_milter|go|process)_\w+`)

func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	known := names(t)
	m := New(maillog.New(zap.NewNop(), false), &fixed{}, "1")
	m.Reloaded("c.toml", "a1", []string{"listen"}) // else it has no series
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		known[f.GetName()] = true
	}
	shown := map[string]bool{}
	for _, p := range dashboard(t) {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s: shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range asked.FindAllString(target.Expr, -1) {
				name = strings.TrimSuffix(name, "_bucket")
				if shown[name] = true; !known[name] {
					t.Errorf("%s: %s is not a metric", p.Title, name)
				}
			}
		}
	}
	for name := range names(t) {
		if !shown[name] {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// Legends name labels that the expression leaves, and Prometheus understands every expression.
func TestPromtoolTakesTheDashboardsExpressions(t *testing.T) {
	label := regexp.MustCompile(`{{(\w+)}}`)
	rules := []string{"groups:", "- name: dashboard", "  rules:"}
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			for _, l := range label.FindAllStringSubmatch(target.LegendFormat, -1) {
				if l[1] != "instance" && !regexp.MustCompile(`by \([^)]*\b`+l[1]+`\b`).MatchString(target.Expr) {
					t.Errorf("%s: no label %s is left in %s", p.Title, l[1], target.Expr)
				}
			}
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			quoted, err := json.Marshal(expr) // JSON is YAML
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, "  - record: dashboard:"+strings.Repeat("x", len(rules)), "    expr: "+string(quoted))
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(strings.Join(rules, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.Promtool(t, "", "check", "rules", file)
}

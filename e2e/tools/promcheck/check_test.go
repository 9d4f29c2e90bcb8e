// Package promcheck holds what docs/monitoring gives to Prometheus and Grafana to Prometheus's own parsers,
// and to the metrics that Fairway exports. It is a module of its own, since Prometheus brings its own
// versions of much.
package promcheck

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const dir = "../../../docs/monitoring/"

// metrics are the labels of every metric that the pages of docs/monitoring list; tests of the hub and the
// agent hold these pages to the code.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"up": {}, "process_resident_memory_bytes": {}}
	for _, page := range []string{"hub-metrics.md", "agent-metrics.md"} {
		found := 0
		for line := range strings.Lines(read(t, page)) {
			cells := strings.Split(line, "|")
			if name, ok := strings.CutPrefix(strings.TrimSpace(cells[min(1, len(cells)-1)]), "`"); ok {
				out[strings.TrimSuffix(name, "`")] = strings.Fields(strings.ReplaceAll(cells[2], ",", " "))
				found++
			}
		}
		if found < 5 {
			t.Fatalf("%s lists %d metrics", page, found)
		}
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scraped are the labels that Prometheus adds.
var scraped = []string{"job", "instance", "namespace", "pod", "container", model.MetricNameLabel}

var promql = parser.NewParser(parser.Options{})

// check says what is wrong with an expression.
func check(known map[string][]string, expr string) error {
	tree, err := promql.ParseExpr(expr)
	if err != nil {
		return err
	}
	var problems []string
	carried := map[string]bool{}
	for _, l := range scraped {
		carried[l] = true
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has, exported := known[selector.Name]
		if !exported {
			problems = append(problems, fmt.Sprintf("%q is not exported", selector.Name))
		}
		for _, l := range has {
			carried[l] = true
		}
		for _, m := range selector.LabelMatchers {
			if !slices.Contains(has, m.Name) && !slices.Contains(scraped, m.Name) {
				problems = append(problems, fmt.Sprintf("%s has no label %q", selector.Name, m.Name))
			}
		}
		return nil
	})
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		for _, l := range grouping(node) {
			if !carried[l] {
				problems = append(problems, fmt.Sprintf("%s groups by %q, which no metric in it has", node, l))
			}
		}
		return nil
	})
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "; "))
	}
	return nil
}

// grouping are the labels that an aggregation or a match names.
func grouping(node parser.Node) []string {
	switch n := node.(type) {
	case *parser.AggregateExpr:
		return n.Grouping
	case *parser.BinaryExpr:
		if n.VectorMatching != nil {
			return append(slices.Clone(n.VectorMatching.MatchingLabels), n.VectorMatching.Include...)
		}
	}
	return nil
}

func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	known := map[string][]string{"a": {"x"}, "b": {"y"}}
	for expr, says := range map[string]string{
		`sum by (x) (a{x="1"})`:       "",
		`a * on (x) group_left (y) b`: "",
		`a{x="1"`:                     "parse error",
		`c`:                           `"c" is not exported`,
		`rate(c[5m]) / a`:             `"c" is not exported`,
		`a{y="1"}`:                    `a has no label "y"`,
		`sum by (z) (a)`:              `groups by "z"`,
		`a * on (x) group_left (z) b`: `groups by "z"`,
		`sum(a`:                       "parse error",
		`{__name__=~"a|b"}`:           `"" is not exported`,
	} {
		switch err := check(known, expr); {
		case says == "" && err != nil:
			t.Errorf("%s: %v", expr, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v, want %q", expr, err, says)
		}
	}
}

// rules is the PrometheusRule in alerts.yaml.
type rules struct {
	Kind string    `yaml:"kind"`
	Spec yaml.Node `yaml:"spec"`
}

func TestTheAlertRulesLoadAndUseWhatIsExported(t *testing.T) {
	var file rules
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yaml")), &file); err != nil || file.Kind != "PrometheusRule" {
		t.Fatalf("kind %q, %v", file.Kind, err)
	}
	spec, err := yaml.Marshal(&file.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, promql, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	known, seen := metrics(t), map[string]bool{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if err := check(known, rule.Expr); err != nil {
				t.Errorf("%s: %v", rule.Alert, err)
			}
			if seen[rule.Alert] || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s: it stands twice, or lacks a severity, a summary or a description", rule.Alert)
			}
			seen[rule.Alert] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d alerts", len(seen))
	}
}

// dashboard is what of Grafana's model has expressions.
type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct{ List []variable }
}

type panel struct {
	ID      int
	Title   string
	Type    string
	Panels  []panel
	Targets []struct{ Expr string }
}

type variable struct {
	Name, Type string
	Query      json.RawMessage
}

// grafana replaces what Grafana replaces. Its own variables stand for durations; the dashboard's for texts.
var grafana = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h")

var ownVariable = regexp.MustCompile(`\$\{?([a-z_]+)\}?`)

func TestTheDashboardUsesWhatIsExported(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	known, variables, ids := metrics(t), map[string]bool{}, map[int]bool{}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		if v.Type == "query" {
			checkVariable(t, known, v)
		}
	}
	expressions := 0
	for _, p := range flat(d.Panels) {
		if ids[p.ID] {
			t.Errorf("%s: the id %d stands twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && p.Type != "text" && len(p.Targets) == 0 {
			t.Errorf("%s: it shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			expressions++
			expr := grafana.Replace(target.Expr)
			for _, used := range ownVariable.FindAllStringSubmatch(expr, -1) {
				if !variables[used[1]] {
					t.Errorf("%s: there is no variable %s", p.Title, used[0])
				}
			}
			if err := check(known, expr); err != nil {
				t.Errorf("%s: %s: %v", p.Title, expr, err)
			}
		}
	}
	if expressions < 10 || d.UID == "" {
		t.Errorf("%d expressions, uid %q", expressions, d.UID)
	}
}

func flat(panels []panel) []panel {
	var out []panel
	for _, p := range panels {
		out = append(append(out, p), flat(p.Panels)...)
	}
	return out
}

var labelValues = regexp.MustCompile(`^label_values\((.+), *([a-z_]+)\)$`)

// checkVariable looks at label_values(selector, label).
func checkVariable(t *testing.T, known map[string][]string, v variable) {
	t.Helper()
	var query struct{ Query string }
	if err := json.Unmarshal(v.Query, &query); err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	parts := labelValues.FindStringSubmatch(query.Query)
	if parts == nil {
		t.Errorf("variable %s: %q is not label_values(metric, label)", v.Name, query.Query)
		return
	}
	if err := check(known, fmt.Sprintf("count by (%s) (%s)", parts[2], parts[1])); err != nil {
		t.Errorf("variable %s: %v", v.Name, err)
	}
}

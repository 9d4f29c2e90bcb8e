package survey

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

func TestMarkdown(t *testing.T) {
	report := Assess(acquired(), About{Cluster: "acquired-1", Region: "eu-west-1"}, now)
	report.Conflicts = []Conflict{{Kind: ConflictObject, Set: "agent", Object: "ClusterRole/fairway-agent", Owner: "a|b\n<script>[x](y)", Message: "m"}}
	golden(t, "testdata/acquired.md", report.Markdown())
}

func TestMarkdownOfATakeOver(t *testing.T) {
	smooth := Assess(fluxScene{version: "v2.9.5", labels: bootstrapLabels, writer: "kustomize-controller"}.observed(), About{Cluster: "smooth"}, now)
	rough := Assess(fluxScene{version: "v2.3.0", writer: "flux", firstOnly: true, image: "mirror/source-controller:v0", args: []string{"--no-cross-namespace-refs=true"}}.observed(), About{Cluster: "rough"}, now)
	golden(t, "testdata/takeover.md", smooth.Markdown()+"\n"+rough.Markdown())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +have; go test ./clusters/survey -update writes it):\n%s", diff)
	}
}

func TestBounded(t *testing.T) {
	report := Assess(acquired(), About{Cluster: "acquired-1"}, now)
	for i := range 5000 {
		report.Unowned = append(report.Unowned, Unowned{Object: fmt.Sprintf("ConfigMap/shop/%05d", i), By: "kubectl"})
		report.Managers = append(report.Managers, Manager{Tool: ToolOther, Name: fmt.Sprintf("program-%05d", i), Objects: 1})
	}
	whole := report
	const size = 64 << 10
	cut, asJSON, asMarkdown, err := report.Bounded(size)
	if err != nil || len(asJSON)+len(asMarkdown) > size {
		t.Fatalf("%v: %d bytes", err, len(asJSON)+len(asMarkdown))
	}
	if diff := cmp.Diff(whole, report); diff != "" {
		t.Errorf("the report itself was cut:\n%s", diff)
	}
	want := map[string]int{"unowned": 5004, "managers": 5004}
	for _, c := range cut.Cut {
		if c.Total != want[c.List] || c.Kept >= c.Total {
			t.Errorf("%+v", c)
		}
		if line := fmt.Sprintf("Of %s, %d of %d are kept here.", c.List, c.Kept, c.Total); !strings.Contains(asMarkdown, line) {
			t.Errorf("the Markdown lacks %q", line)
		}
	}
	if len(cut.Cut) != len(want) || len(cut.Unowned) != cut.Cut[0].Kept && len(cut.Unowned) != cut.Cut[1].Kept {
		t.Errorf("cut %+v, kept %d and %d", cut.Cut, len(cut.Unowned), len(cut.Managers))
	}
	var again Report
	if err := json.Unmarshal(asJSON, &again); err != nil || !cmp.Equal(cut, again) {
		t.Errorf("the JSON is not the report: %v\n%s", err, cmp.Diff(cut, again))
	}
	if _, whole, _, err := Assess(acquired(), About{}, now).Bounded(512 << 10); err != nil || strings.Contains(string(whole), `"kept"`) {
		t.Errorf("a report that fits was cut: %v", err)
	}
	if _, _, _, err := report.Bounded(100); err == nil {
		t.Error("100 bytes hold a report")
	}
}

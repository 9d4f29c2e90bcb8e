package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckArtifactNamesClusterAndObject(t *testing.T) {
	manifests := func(more string) string {
		return filepath.Join(checkout(t, map[string]string{
			"m/service.yaml":    "apiVersion: v1\nkind: Service\nmetadata: {name: ledger}\nspec:\n  ports: [{port: 80}]\n",
			"m/config.yaml":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ledger}\ndata: {region: '${CLUSTER_REGION}', ttl: '${TTL:=300}'}\n" + more,
			"fairway.yaml":      "service: payments/ledger\n",
			"m/deploy/LICENSE":  "none\n",
			"somewhere/else.md": "${NOBODY_CARES}\n",
		}), "m")
	}
	from, err := filepath.Abs("testdata/check-fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		more, args string
		code       int
		out        []string // lines that begin so, in their order
		errOut     string   // its beginning
	}{
		"it fits every cluster": {"", "--env prod", 0, nil, "✔ 2 objects of payments/ledger would be built on 3 clusters\n► not looked at: "},
		"a variable that clusters lack": {"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: dns}\ndata: {zone: '${DNS_ZONE}'}\n", "--env prod", 1,
			[]string{"acquired-1, prod-azure-eu1: "}, "✗ check artifact: 2 of 3 clusters would not take it\n► mend the manifests, "},
		"an object of the whole cluster": {"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n", "--env prod", 1,
			[]string{"acquired-1, prod-aws-eu1, prod-azure-eu1: Namespace/mine: "}, "✗ check artifact: 3 of 3 clusters would not take it\n"},
		"another team's namespace": {"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: theirs}\n", "--env prod", 1,
			[]string{"acquired-1, prod-aws-eu1, prod-azure-eu1: ConfigMap/theirs/x: "}, "✗ check artifact: 3 of 3"},
		"an environment that no cluster is in": {"", "--env prd", 1, nil, "✗ find environment with clusters \"prd\": there is none of that name\n► did you mean prod?"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := manifests(c.more)
			t.Chdir(filepath.Dir(folder))
			got := offline(t, "check artifact m --from "+from+" "+c.args)
			lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
			if got.out == "" {
				lines = nil
			}
			if got.code != c.code || len(lines) != len(c.out) || !strings.HasPrefix(got.errOut, c.errOut) {
				t.Fatalf("%+v", got)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, c.out[i]) {
					t.Errorf("line %q, want %q", line, c.out[i])
				}
			}
		})
	}
}

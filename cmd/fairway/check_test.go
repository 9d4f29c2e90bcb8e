package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is a config repository with files, as CI has one.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const checkFrom = " --from testdata/check-fleet.yaml"

func TestCheckLayersNamesWhatWouldBreak(t *testing.T) {
	dir := checkout(t, map[string]string{
		"platform/network/aws/a.yaml":          "kind: ConfigMap\ndata: {region: '${CLUSTER_REGION}'}\n",
		"platform/network/base/a.yaml":         "kind: ConfigMap\ndata:\n  cidr: ${CIDR}\n  script: echo ${@}\n",
		"platform/dns/base/kustomization.yaml": "resources: [a.yaml]\n",
		"platform/dns/base/a.yaml":             "kind: ConfigMap\ndata: {zone: '${DNS_ZONE}', ttl: '${TTL:=300}'}\n",
		"clusters/prod-aws-eu1/fairway.yaml":   "kind: ConfigMap\n",
		"clusters/prod-azure-eu1/app/app.yaml": "kind: ConfigMap\ndata: {a: '${APP_HOST}'}\n",
		"clusters/observed-1/app.yaml":         "kind: ConfigMap\ndata: {a: '${NOBODY_CARES}'}\n",
		"clusters/somebody-elses/fairway.yaml": "a: ${NOBODY_CARES}\n",
		"platform/not-a-layer-yet/base/a.yaml": "a: ${NOBODY_CARES}\n",
		"clusters/acquired-1/README.md":        "${NOBODY_CARES}\n",
	})
	got := offline(t, "check layers --repository "+dir+checkFrom)
	golden(t, "check-layers.txt", got.out)
	golden(t, "check-layers.err", got.errOut)
	if got.code != 1 {
		t.Errorf("exit code %d", got.code)
	}
	if got := offline(t, "check layers observed-1 --repository "+dir+checkFrom); got.code != 0 || got.errOut != "✔ 0 clusters: every layer has its folder, and no variable is missing\n" {
		t.Errorf("of a cluster that follows no repository: %+v", got)
	}
}

func TestCheckLayersWritesWhatTheOperatorWould(t *testing.T) {
	dir := checkout(t, map[string]string{"platform/network/aws/a.yaml": "kind: ConfigMap\n", "platform/dns/base/a.yaml": "zone: ${DNS_ZONE}\n"})
	path := filepath.Join(dir, "clusters/prod-aws-eu1/fairway.yaml")
	got := offline(t, "check layers prod-aws-eu1 --repository "+dir+checkFrom)
	if _, err := os.Stat(path); got.code != 0 || got.out != "" || err == nil ||
		!strings.HasPrefix(got.errOut, "⚠ clusters/prod-aws-eu1/fairway.yaml is not as spec.layers of the Fleet wants it") {
		t.Errorf("%+v, %v", got, err)
	}
	if got := offline(t, "check layers prod-aws-eu1 --write --repository "+dir+checkFrom); got.code != 0 || !strings.Contains(got.errOut, "✔ clusters/prod-aws-eu1/fairway.yaml is written") {
		t.Errorf("%+v", got)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "check-fairway.yaml", string(written))
	if got := offline(t, "check layers prod-aws-eu1 --write --repository "+dir+checkFrom); got.errOut != "✔ 1 clusters: every layer has its folder, and no variable is missing\n" {
		t.Errorf("once more: %+v", got)
	}
	// A link that leads out of the checkout is not followed, and nothing is written through it.
	outside := checkout(t, nil)
	if err := os.RemoveAll(filepath.Join(dir, "clusters")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "clusters")); err != nil {
		t.Fatal(err)
	}
	if got := offline(t, "check layers prod-aws-eu1 --write --repository "+dir+checkFrom); got.code != 1 {
		t.Errorf("through a link: %+v", got)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func TestCheckLayersSaysWhatItNeeds(t *testing.T) {
	empty := filepath.Join(checkout(t, map[string]string{"x.yaml": "kind: ConfigMap\napiVersion: v1\n"}), "x.yaml")
	for args, want := range map[string]string{
		"check":                         "✗ check: say what: artifact or layers\n",
		"check layrs":                   `✗ check: there is no "layrs"; did you mean layers?`,
		"check layers":                  "✗ find the platform: there is no kubeconfig\n► set KUBECONFIG",
		"check layers --from none.yaml": "✗ read --from: open none.yaml: no such file or directory\n► write it with: kubectl get fleets,workloadclusters -A -o yaml\n",
		"check layers --from " + empty:  "✗ read --from: it has 0 Fleets, not one\n",
		"check layers --from testdata/check-layers.err":         "✗ read --from: ",
		"check layers nobody" + checkFrom:                       `✗ find cluster "nobody": there is none of that name`,
		"check layers --repository /nowhere/at/all" + checkFrom: "✗ open the repository: open /nowhere/at/all: no such file or directory\n► name the folder of a checkout with --repository\n",
	} {
		if got := offline(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr:\n%s", args, got.code, got.out, got.errOut)
		}
	}
}

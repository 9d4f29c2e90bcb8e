package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

const (
	pushedCommit   = "4f1c9d2aab7e0b5b6c1d2e3f405162738495a6b7"
	ledgerManifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ledger}\nspec:\n  replicas: 2\n"
)

// pushingCI is a shell with a registry of its own, and an environment.
type pushingCI struct {
	*ocitest.Registry
	env map[string]string
}

func startCI(t *testing.T) pushingCI {
	t.Helper()
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	r := ocitest.Start(t)
	return pushingCI{r, map[string]string{"FAIRWAY_REGISTRY": r.URL("artifacts"), "DOCKER_CONFIG": t.TempDir()}}
}

func (c pushingCI) fairway(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", version: "v0.1.0", now: func() time.Time { return now }, zone: time.UTC, env: inEnv(c.env)}
	return result{run(t.Context(), sh, args, &out, &errOut), out.String(), errOut.String()}
}

// push pushes a folder of ledger with metadata that is the same for every run.
func (c pushingCI) push(t *testing.T, dir string, more ...string) result {
	t.Helper()
	return c.fairway(t, append([]string{"artifact", "push", dir, "--service", "payments/ledger", "--branch", "main", "--commit", pushedCommit,
		"--author", "Ada Example <ada@example.com>", "--source", "https://git.example.com/payments/ledger", "--ci", "https://ci.example.com/runs/17",
		"--created", before(12 * time.Minute).Format(time.RFC3339)}, more...)...)
}

func TestArtifactsArePushedAndListed(t *testing.T) {
	c := startCI(t)
	dir := checkout(t, map[string]string{
		"kustomization.yaml": "resources: [deployment.yaml]\nconfigMapGenerator: [{name: ledger, files: [ledger.conf]}]\n",
		"deployment.yaml":    strings.ReplaceAll(ledgerManifest, "2", "${REPLICAS:=2}") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: '${CLUSTER_NAME}'}\n",
		"ledger.conf":        "db: ${DB_HOST}\nregion: ${CLUSTER_REGION}\nport: ${DB_PORT}\nbackup: ${DB_HOST}\n",
	})
	pushed := c.push(t, dir)
	if pushed.code != 0 {
		t.Fatalf("%+v", pushed)
	}
	golden(t, "artifact-push.txt", pushed.out)
	golden(t, "artifact-push.err", pushed.errOut)
	again := c.push(t, dir, "-o", "json", "--ci", "https://ci.example.com/runs/18", "--created", before(time.Minute).Format(time.RFC3339))
	if again.code != 0 || !strings.Contains(again.errOut, "was there already, with the same files; nothing was pushed") {
		t.Errorf("%+v", again)
	}
	golden(t, "artifact-push.json", again.out)
	id := strings.TrimSuffix(c.push(t, dir, "-o", "name").out, "\n")
	if !strings.HasPrefix(id, "main-4f1c9d2-") || strings.Contains(id, "\n") {
		t.Errorf("the id alone: %q", id)
	}

	other := checkout(t, map[string]string{"deployment.yaml": ledgerManifest})
	if got := c.push(t, other, "--branch", "feature/fast-lane", "--created", before(2*time.Hour).Format(time.RFC3339)); got.code != 0 || strings.Contains(got.errOut, "⚠") {
		t.Errorf("%+v", got)
	}
	for name, args := range map[string]string{
		"artifact-list.txt":        "",
		"artifact-list-wide.txt":   "-o wide",
		"artifact-list.yaml":       "-o yaml",
		"artifact-list-branch.txt": "--branch main --no-headers",
		"artifact-list-name.txt":   "-o name",
	} {
		got := c.fairway(t, append([]string{"artifact", "list", "payments/ledger"}, strings.Fields(args)...)...)
		if got.code != 0 || got.errOut != "" {
			t.Errorf("%s: %+v", name, got)
		}
		golden(t, name, got.out)
	}
	if got := c.fairway(t, "artifact", "list", "payments/ledger", "--limit", "1", "-o", "name"); got.code != 0 || got.out != id+"\n" || got.errOut != "► 1 artifact more; all of them: --limit 0\n" {
		t.Errorf("%+v", got)
	}
	if got := c.fairway(t, "artifact", "list", "payments/ledger", "--branch", "none", "-o", "json"); got.code != 0 || !strings.Contains(got.out, `"items": []`) || !strings.Contains(got.errOut, "⚠ no artifact of payments/ledger matches") {
		t.Errorf("%+v", got)
	}
}

func TestAPushFindsOutByItself(t *testing.T) {
	c := startCI(t)
	dir, commit := sourceCode(t, "feature/fast")
	if err := os.WriteFile(filepath.Join(dir, "shuttle.yaml"), []byte("vars: {service: ledger, squad: payments}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := c.fairway(t, "artifact", "push", filepath.Join(dir, "manifests"), "-o", "json")
	var item artifactItem
	if err := json.Unmarshal([]byte(got.out), &item); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	want := artifactItem{ID: item.ID, Service: "payments/ledger", Digest: item.Digest, ArtifactSource: fleetv1.ArtifactSource{
		Repository: "https://git.example.com/payments/ledger.git", Branch: "feature/fast", Commit: commit, Author: "a <a@example.com>", Created: item.Created}}
	if fmt.Sprint(item) != fmt.Sprint(want) || !strings.HasPrefix(item.ID, "feature-fast-"+commit[:7]+"-") || !item.Created.Equal(&metav1.Time{Time: now}) {
		t.Errorf("%+v, want %+v", item, want)
	}
}

func TestWhatCannotBePushed(t *testing.T) {
	c := startCI(t)
	files := func(files map[string]string) string { return checkout(t, files) }
	good := files(map[string]string{"a.yaml": ledgerManifest})
	large := files(map[string]string{"a.yaml": ledgerManifest})
	file, err := os.Create(filepath.Join(large, "large.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(100_000_000); err != nil { // it takes no place on the disk
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	linked := files(map[string]string{"a.yaml": ledgerManifest})
	if err := os.Symlink("/etc/passwd", filepath.Join(linked, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, c2 := range map[string]struct {
		dir  string
		more []string
		says string
	}{
		"a file of 100 MB":                     {large, nil, `: too large: "large.bin" has more than 4 MiB`},
		"a link":                               {linked, nil, "not valid: b.yaml is no file but a link"},
		"a folder outside":                     {files(map[string]string{"kustomization.yaml": "resources: [../x]"}), nil, `kustomization.yaml: it refers to "../x", which is not in the artifact`},
		"something from elsewhere":             {files(map[string]string{"kustomization.yaml": "resources: ['https://example.com/x']"}), nil, `"https://example.com/x", which is not in the artifact`},
		"YAML that is none":                    {files(map[string]string{"a.yaml": "a: [b"}), nil, "a.yaml"},
		"no manifests":                         {files(map[string]string{"README.md": "hello"}), nil, "nothing would be applied"},
		"an expression that Flux cannot read":  {files(map[string]string{"a.yaml": ledgerManifest + "# c\n---\n{apiVersion: v1, kind: A, metadata: {name: 'x${@}'}}\n"}), nil, "✗ look for variables: a.yaml:8: an expression that Flux's substitution cannot read"},
		"no folder":                            {"/nowhere/at/all", nil, "✗ open the manifests: open /nowhere/at/all: no such file or directory\n► name their folder\n"},
		"a service that is none":               {good, []string{"--service", "ledger"}, `✗ use service ledger: "ledger" is not <team>/<service>`},
		"a time that is none":                  {good, []string{"--created", "yesterday"}, `✗ artifact push: --created: "yesterday" is not a time such as`},
		"a time that has not come":             {good, []string{"--created", "2026-11-22T08:23:00Z"}, "✗ artifact push: --created: 2026-11-22T08:23:00Z has not come yet"},
		"a registry that is none":              {good, []string{"--registry", "https://example.com"}, "✗ open the registry: "},
		"a registry that is away":              {good, []string{"--registry", "oci://127.0.0.1:1/artifacts"}, "the registry cannot be reached"},
		"a commit that is short and not known": {good, []string{"--commit", "zzzzzzz"}, `commit "zzzzzzz" does not have 40 or 64 hex digits`},
		"an unknown form":                      {good, []string{"-o", "xml"}, "use one of table|wide|name|json|yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.push(t, c2.dir, c2.more...)
			if got.code != 1 || got.out != "" || !strings.Contains(got.errOut, c2.says) {
				t.Errorf("exit code %d, stdout %q, stderr:\n%s\nwant %q", got.code, got.out, got.errOut, c2.says)
			}
		})
	}
}

func TestArtifactVerbsSayWhatTheyNeed(t *testing.T) {
	t.Chdir(t.TempDir())
	c := startCI(t)
	nowhere := pushingCI{c.Registry, maps.Clone(c.env)}
	delete(nowhere.env, "FAIRWAY_REGISTRY")
	for _, each := range []struct {
		ci   pushingCI
		args string
		says string
	}{
		{c, "artifact", "✗ artifact: say what: push or list\n"},
		{c, "artifact pusch", `✗ artifact: there is no "pusch"; did you mean push or list?`},
		{c, "artifact push", "✗ artifact push: it takes one argument, the folder of the manifests\n"},
		{c, "artifact list a b", "✗ artifact list: it takes one argument at most, the service\n"},
		{c, "artifact list", "✗ find the service: there is no fairway.yaml or shuttle.yaml in . or above it\n► name it: <team>/<service>; or write it into fairway.yaml, service: <team>/<service>\n"},
		{c, "artifact list payments/nothing", "✗ artifact list: list artifacts of payments/nothing in oci://"},
		{nowhere, "artifact list payments/ledger", "✗ find the registry: find the platform: there is no kubeconfig\n► name it with --registry or FAIRWAY_REGISTRY: oci://host/path; or ask the platform: set KUBECONFIG"},
	} {
		if got := each.ci.fairway(t, strings.Fields(each.args)...); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, each.says) {
			t.Errorf("%s: exit code %d, stdout %q, stderr:\n%s", each.args, got.code, got.out, got.errOut)
		}
	}
}

func TestTheRegistryIsShownWhatDockerLoginKeeps(t *testing.T) {
	c := startCI(t)
	c.Want("ledger", "s3cret")
	dir := checkout(t, map[string]string{"a.yaml": ledgerManifest})
	if got := c.push(t, dir); got.code != 1 || !strings.Contains(got.errOut, "the registry refuses the credentials, or wants some") || !strings.Contains(got.errOut, "► log in to it: docker login") {
		t.Errorf("%+v", got)
	}
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, c.Host(), base64.StdEncoding.EncodeToString([]byte("ledger:s3cret")))
	if err := os.WriteFile(filepath.Join(c.env["DOCKER_CONFIG"], "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.push(t, dir); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(c.env["DOCKER_CONFIG"], "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.push(t, dir); got.code != 1 || !strings.HasPrefix(got.errOut, "✗ log in to the registry: ") {
		t.Errorf("%+v", got)
	}
	c.Want("", "")
	c.Refuse(http.StatusForbidden)
	if got := c.fairway(t, "artifact", "list", "payments/ledger", "--registry", c.URL("x")); got.code != 1 {
		t.Errorf("%+v", got)
	}
}

// TestTheFleetNamesTheRegistry runs on a real API server. Its cases follow each other.
func TestTheFleetNamesTheRegistry(t *testing.T) {
	p := startPlatform(t)
	c := startCI(t)
	registry := c.env["FAIRWAY_REGISTRY"]
	delete(c.env, "FAIRWAY_REGISTRY")
	dir := checkout(t, map[string]string{"a.yaml": ledgerManifest})
	list := []string{"artifact", "list", "payments/ledger", "-o", "name", "--kubeconfig", p.kubeconfig}
	if got := c.fairway(t, list...); got.code != 1 || !strings.HasPrefix(got.errOut, "✗ find the registry in the Fleet: ") || !strings.Contains(got.errOut, "► name it with --registry or FAIRWAY_REGISTRY") {
		t.Errorf("without a Fleet: %+v", got)
	}
	fleet := &fleetv1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName}}
	fleet.Spec.ConfigRepository.URL = "https://git.example.com/config.git"
	platformtest.Create(t, p.Client, fleet)
	if got := c.fairway(t, list...); got.code != 1 || !strings.Contains(got.errOut, "it has no spec.artifacts, so that nothing can be released") {
		t.Errorf("without a registry: %+v", got)
	}
	fleet.Spec.Artifacts = &fleetv1.ArtifactStore{URL: registry}
	if err := p.Client.Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	pushed := c.push(t, dir, "-o", "name", "--kubeconfig", p.kubeconfig)
	if got := c.fairway(t, list...); pushed.code != 0 || got.code != 0 || got.out != pushed.out {
		t.Errorf("pushed %+v, listed %+v", pushed, got)
	}
	store, err := newConnection(&shell{env: inEnv(c.env)}).artifacts(t.Context(), p.Client)
	if err != nil {
		t.Fatal(err)
	}
	found, err := store.List(t.Context(), "payments", "ledger", 1)
	if err != nil || len(found) != 1 || found[0].ID+"\n" != pushed.out {
		t.Errorf("%+v, %v", found, err)
	}
}

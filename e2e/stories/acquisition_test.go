package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/e2e/bench"
	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// A cluster that came with its own Flux is onboarded as docs/howto says, word for word: from Observe to Manage with its
// Flux taken over. Nothing restarts, nothing changes that the survey did not announce, nobody is notified.
func TestAnAcquiredClusterIsOnboarded(t *testing.T) {
	const id = "ledger-eu1" // as the page calls it
	began := time.Now()
	acquired, err := bank.Bootstrapped(t.Context(), id, ledger())
	if err != nil {
		t.Fatal(err)
	}
	member := bank.Member(id)
	defer func() {
		if err := member.Stop(); err != nil {
			t.Error(err)
		}
	}()
	page := readHowto(t, "onboard-an-acquired-cluster.md", layOut(t, acquired.KubeconfigData))
	a := &acquisition{id: id, member: member, since: time.Now(), before: everything(t, member), pods: running(t, member)}
	t.Logf("the acquired cluster is up after %s, with %d objects and %d pods", time.Since(began).Round(100*time.Millisecond), len(a.before), len(a.pods))

	page.run("Observe")
	a.observed(t)
	if printed := page.run("Read the survey"); !strings.Contains(printed, "## Taking over Flux") {
		t.Errorf("the survey does not announce what taking over Flux changes:\n%s", printed)
	}
	announced := a.announced(t)
	page.run("Manage")
	defer forgetConfig(t, id)
	a.managed(t, announced)
	a.goesOn(t, acquired)
	a.undisturbed(t)
	page.run("Let it go")
	page.done()
	a.left(t)
	t.Logf("the whole story took %s", time.Since(began).Round(100*time.Millisecond))
}

// acquisition is a cluster on its way into the fleet, and what it was before.
type acquisition struct {
	id     string
	member fleet.Member
	since  time.Time
	before snapshot
	pods   map[string]runs
}

// fairways says whether an object is one that Fairway put there, or that the config repository has.
func fairways(object string) bool {
	parts := strings.Split(object, "/")
	name := parts[len(parts)-1]
	if strings.HasPrefix(name, "fairway") {
		return true
	}
	if len(parts) == 2 {
		return object == "Namespace/"+fleet.Team
	}
	return slices.Contains([]string{fleetv1.SystemNamespace, "fairway-access", fleet.Team}, parts[1]) ||
		slices.Contains([]string{"Kustomization/flux-system/platform", "Kustomization/flux-system/demo-podinfo"}, object)
}

// reports says whether an object's status is written by controllers of the cluster itself.
func reports(object string) bool {
	kind, _, _ := strings.Cut(object, "/")
	return slices.Contains([]string{"Node", "Pod", "Deployment", "ReplicaSet", "GitRepository", "Kustomization"}, kind)
}

// copies says whether an object is one that Kubernetes makes of another, with that one's labels or annotations: a
// ReplicaSet of a Deployment, an EndpointSlice of a Service.
func copies(object string, of []string) bool {
	for copied, original := range map[string]string{"ReplicaSet": "Deployment", "EndpointSlice": "Service"} {
		rest, ok := strings.CutPrefix(object, copied+"/")
		if ok && slices.ContainsFunc(of, func(name string) bool {
			stem, ok := strings.CutPrefix(name, original+"/")
			return ok && strings.HasPrefix(rest, stem+"-")
		}) {
			return true
		}
	}
	return false
}

// observed: what was there is as it was, to the resource version.
func (a *acquisition) observed(t *testing.T) {
	t.Helper()
	c := a.before.to(everything(t, a.member))
	t.Logf("observing: %s %v", c, c.touched)
	for what, list := range map[string][]string{
		"went": c.went, "changed": c.changed, "came and are not Fairway's": except(c.came, fairways), "were written to": except(c.touched, reports),
	} {
		if len(list) > 0 {
			t.Errorf("by observing, objects %s: %v", what, list)
		}
	}
}

// announced are the objects that the survey says a take-over changes.
func (a *acquisition) announced(t *testing.T) *survey.TakeOver {
	t.Helper()
	stored := &corev1.ConfigMap{}
	if err := bank.Platform.Client().Get(t.Context(), client.ObjectKey{Namespace: fleet.Namespace, Name: survey.ReportName(a.id)}, stored); err != nil {
		t.Fatal(err)
	}
	var report survey.Report
	if err := json.Unmarshal([]byte(stored.Data[survey.KeyJSON]), &report); err != nil {
		t.Fatal(err)
	}
	if report.TakeOver == nil || len(report.TakeOver.Conflicts) > 0 || len(report.TakeOver.Restarts) > 0 {
		t.Fatalf("the survey does not say that Flux can be taken over as it is: %+v", report.TakeOver)
	}
	return report.TakeOver
}

// managed: what changed was announced, and no pod is another one.
func (a *acquisition) managed(t *testing.T, announced *survey.TakeOver) {
	t.Helper()
	said := func(object string) bool {
		return slices.Contains(announced.Objects, object) || copies(object, announced.Objects)
	}
	c := a.before.to(everything(t, a.member))
	t.Logf("managing: %s; %d objects were announced", c, len(announced.Objects))
	for what, list := range map[string][]string{
		"went": c.went, "changed and were not announced": except(c.changed, said), "came and are not Fairway's": except(c.came, fairways),
		"were written to": except(c.touched, reports, said), "were announced and did not change": except(announced.Objects, func(object string) bool { return slices.Contains(c.changed, object) }),
	} {
		if len(list) > 0 {
			t.Errorf("by managing, objects %s: %v", what, list)
		}
	}
	a.samePods(t)
}

// samePods: every pod that was there is there, with its containers.
func (a *acquisition) samePods(t *testing.T) {
	t.Helper()
	now, flux := running(t, a.member), 0
	for _, name := range slices.Sorted(maps.Keys(a.pods)) {
		if now[name] != a.pods[name] {
			t.Errorf("pod %s was %+v and is %+v", name, a.pods[name], now[name])
		}
		if strings.HasPrefix(name, "flux-system/") {
			flux++
		}
	}
	t.Logf("%d pods go on, %d of them Flux's; none restarted", len(a.pods), flux)
}

// goesOn: the company's own repository still works, and no longer holds Flux: it is not pruned, although the repository
// has it no more.
func (a *acquisition) goesOn(t *testing.T, acquired *bench.Acquired) {
	t.Helper()
	revision, err := acquired.Repository.Commit(t.Context(), "main", fleet.Files{
		"cluster/flux-system/gotk-components.yaml": gitserver.Delete,
		"cluster/flux-system/kustomization.yaml":   "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-sync.yaml]\n",
		"apps/settings-000.yaml":                   setting(0, "after"),
	}, "Flux is Fairway's now")
	if err != nil {
		t.Fatal(err)
	}
	requested := "--overwrite reconcile.fluxcd.io/requestedAt=" + revision
	if out, err := a.member.Kubectl(t.Context(), append([]string{"-n", "flux-system", "annotate", "gitrepository/flux-system"}, strings.Fields(requested)...)...); err != nil {
		t.Fatal(err, out)
	}
	eventually(t, time.Minute, "the company's own Kustomizations have its next revision", func(ctx context.Context) (bool, string) {
		out, err := a.member.Kubectl(ctx, "-n", "flux-system", "get", "kustomizations", "apps", "flux-system",
			"-o", `jsonpath={range .items[*]}{.status.lastAppliedRevision} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
		want := fmt.Sprintf("main@sha1:%s True\n", revision)
		return out == want+want, fmt.Sprintf("%s %v", out, err)
	})
	var settings corev1.ConfigMap
	if err := a.member.Client().Get(t.Context(), client.ObjectKey{Namespace: ledgerNamespace, Name: "settings-000"}, &settings); err != nil || settings.Data["value"] != "after" {
		t.Errorf("its change did not arrive: %v (%v)", settings.Data, err)
	}
	if c := a.before.to(everything(t, a.member)); len(c.went) > 0 {
		t.Errorf("its own Flux has pruned: %v", c.went)
	}
	a.samePods(t)
}

// undisturbed: nobody was told of a failure in all that time.
func (a *acquisition) undisturbed(t *testing.T) {
	t.Helper()
	events, err := bank.Events(t.Context(), a.since, a.id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == event.EpisodeOpened {
			t.Errorf("an episode was opened: %+v", e)
		}
	}
	seen, err := bank.Cluster(t.Context(), a.id)
	if err != nil || seen.Episodes != 0 {
		t.Errorf("the fleet view has %d episodes (%v)", seen.Episodes, err)
	}
	if len(events) == 0 {
		t.Error("no event came from the cluster at all, so that none would have told of a failure")
	}
	t.Logf("%d events of the cluster, no episode among them", len(events))
}

// left: what ran runs, and the agent and the account are gone.
func (a *acquisition) left(t *testing.T) {
	t.Helper()
	if err := bank.Platform.Client().Get(t.Context(), fleet.Key(a.id), &fleetv1.WorkloadCluster{}); !apierrors.IsNotFound(err) {
		t.Errorf("the WorkloadCluster is still there: %v", err)
	}
	c := a.before.to(everything(t, a.member))
	if len(c.went) > 0 {
		t.Errorf("by letting it go, objects went: %v", c.went)
	}
	if rest := slices.DeleteFunc(c.came, func(object string) bool { return !strings.Contains(object, "fairway-a") }); len(rest) > 0 {
		t.Errorf("of the agent or the account is left: %v", rest)
	}
	a.samePods(t)
}

// forgetConfig takes a cluster's folder out of the config repository.
func forgetConfig(t *testing.T, id string) {
	t.Helper()
	files := fleet.Files{}
	for path := range fleet.ClusterFiles(id, fleet.Artifact) {
		files[path] = gitserver.Delete
	}
	if _, err := bank.Commit(context.WithoutCancel(t.Context()), id+" has left", files); err != nil {
		t.Error(err)
	}
}

// What the acquired company runs.
const (
	ledgerNamespace = "ledger"
	ledgerSettings  = 180
	ledgerApps      = 3
)

func ledger() fleet.Files {
	files := fleet.Files{"namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + ledgerNamespace + "}\n"}
	for i := range ledgerSettings {
		files[fmt.Sprintf("settings-%03d.yaml", i)] = setting(i, "before")
	}
	for i := range ledgerApps {
		files[fmt.Sprintf("app-%d.yaml", i)] = fmt.Sprintf(ledgerApp, i)
	}
	return files
}

func setting(i int, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%03d, namespace: %s}\ndata: {value: %s}\n", i, ledgerNamespace, value)
}

const ledgerApp = `apiVersion: v1
kind: Service
metadata: {name: app-%[1]d, namespace: ledger}
spec:
  selector: {app: app-%[1]d}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app-%[1]d, namespace: ledger}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app-%[1]d, namespace: ledger}
spec:
  selector: {matchLabels: {app: app-%[1]d}}
  template:
    metadata: {labels: {app: app-%[1]d}}
    spec:
      serviceAccountName: app-%[1]d
      containers:
      - name: app
        image: ghcr.io/stefanprodan/podinfo:6.9.0
        args: [--port=9898, --level=info]
        ports: [{name: http, containerPort: 9898}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 2}
`

package observe

import (
	"testing"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

func TestFluxTransitions(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	under := func(seconds int) metav1.Condition {
		return condition("Ready", unknown, "Progressing", "Reconciliation in progress", seconds)
	}
	well := func(seconds int) metav1.Condition {
		return condition("Ready", yes, "ReconciliationSucceeded", "Applied revision", seconds)
	}
	build := func(message string, seconds int) metav1.Condition {
		return condition("Ready", no, "BuildFailed", message, seconds)
	}
	for name, steps := range map[string][]step{
		"a new Kustomization progresses and succeeds": {
			{at: 0, apply: kustomization("", ""), want: words("flux.progressing Kustomization/pay/apps Progressing")},
			{at: 1, apply: kustomization("main@sha1:a", "", under(1)), want: words("flux.progressing Kustomization/pay/apps Progressing main@sha1:a")},
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
		},
		"a reconcile that finds nothing new says nothing": {
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 9, apply: kustomization("main@sha1:a", "main@sha1:a", under(9))},
			{at: 10, apply: kustomization("main@sha1:a", "main@sha1:a", well(10))},
		},
		"another commit progresses and succeeds": {
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 9, apply: kustomization("main@sha1:b", "main@sha1:a", under(9)), want: words("flux.progressing Kustomization/pay/apps Progressing main@sha1:b")},
			{at: 10, apply: kustomization("main@sha1:b", "main@sha1:b", well(10)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:b")},
		},
		"a revision whose progress was missed is told": {
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 9, apply: kustomization("main@sha1:b", "main@sha1:b", well(9)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:b")},
		},
		"a failure opens an episode; retries with other numbers say nothing; another message does; success resolves it": {
			{at: 2, apply: kustomization("main@sha1:a", "", build("line 3: bad yaml (retry 1, 12ms)", 2)), want: words(
				"flux.failed Kustomization/pay/apps BuildFailed main@sha1:a", "episode.opened Kustomization/pay/apps BuildFailed")},
			{at: 4, apply: kustomization("main@sha1:a", "", under(4))},
			{at: 5, apply: kustomization("main@sha1:a", "", build("line 3: bad yaml (retry 2, 1.5s)", 5))},
			{at: 80, apply: kustomization("main@sha1:a", "", build("missing file", 5)), want: words(
				"flux.failed Kustomization/pay/apps BuildFailed main@sha1:a", "episode.changed Kustomization/pay/apps BuildFailed")},
			{at: 90, apply: kustomization("main@sha1:b", "main@sha1:b", well(90)), want: words(
				"flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:b",
				"episode.resolved Kustomization/pay/apps BuildFailed: reconciled main@sha1:b")},
		},
		"another kind of failure ends the first": {
			{at: 2, apply: kustomization("main@sha1:a", "", build("bad", 2)), want: words(
				"flux.failed Kustomization/pay/apps BuildFailed main@sha1:a", "episode.opened Kustomization/pay/apps BuildFailed")},
			{at: 9, apply: kustomization("main@sha1:b", "", condition("Ready", no, "HealthCheckFailed", "timeout", 9)), want: words(
				"flux.failed Kustomization/pay/apps HealthCheckFailed main@sha1:b",
				"episode.resolved Kustomization/pay/apps BuildFailed: followed by HealthCheckFailed",
				"episode.opened Kustomization/pay/apps HealthCheckFailed")},
		},
		"a dependency that is not ready counts after five minutes, through all retries": {
			{at: 0, apply: kustomization("", "", condition("Ready", no, "DependencyNotReady", "d", 0)), want: words("flux.progressing Kustomization/pay/apps DependencyNotReady")},
			{at: 30, apply: kustomization("", "", under(30))},
			{at: 31, apply: kustomization("", "", condition("Ready", no, "DependencyNotReady", "d", 31))},
			{at: 299},
			{at: 300, want: words("flux.failed Kustomization/pay/apps DependencyNotReady", "episode.opened Kustomization/pay/apps DependencyNotReady")},
			{at: 330, apply: kustomization("", "", under(330))},
			{at: 331, apply: kustomization("main@sha1:a", "main@sha1:a", well(331)), want: words(
				"flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a",
				"episode.resolved Kustomization/pay/apps DependencyNotReady: reconciled main@sha1:a")},
		},
		"a source that is not there yet counts after a minute": {
			{at: 0, apply: kustomization("", "", condition("Ready", no, "ArtifactFailed", "Source artifact not found", 0)), want: words("flux.progressing Kustomization/pay/apps ArtifactFailed")},
			{at: 60, want: words("flux.failed Kustomization/pay/apps ArtifactFailed", "episode.opened Kustomization/pay/apps ArtifactFailed")},
		},
		"suspended, resumed, removed": {
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 3, apply: change(kustomization("main@sha1:a", "main@sha1:a", well(2)), func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }),
				want: words("flux.suspended Kustomization/pay/apps Suspended main@sha1:a")},
			{at: 4, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 5, remove: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.removed Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
		},
		"a condition of an older generation is not the state": {
			{at: 2, apply: kustomization("main@sha1:a", "main@sha1:a", well(2)), want: words("flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:a")},
			{at: 3, apply: change(kustomization("main@sha1:a", "main@sha1:a", well(2)), func(k *kustomizev1.Kustomization) { k.Generation = 2 }),
				want: words("flux.progressing Kustomization/pay/apps Progressing main@sha1:a")},
		},
		"a stalled object is told as such": {
			{at: 2, apply: kustomization("", "", build("x", 2), condition("Stalled", yes, "InvalidPath", "no such path", 2)), want: words(
				"flux.stalled Kustomization/pay/apps InvalidPath", "episode.opened Kustomization/pay/apps InvalidPath")},
		},
		"a removed object takes its episode with it": {
			{at: 2, apply: kustomization("main@sha1:a", "", build("bad", 2)), want: words(
				"flux.failed Kustomization/pay/apps BuildFailed main@sha1:a", "episode.opened Kustomization/pay/apps BuildFailed")},
			{at: 3, remove: kustomization("main@sha1:a", "", build("bad", 2)), want: words(
				"episode.resolved Kustomization/pay/apps BuildFailed: object removed", "flux.removed Kustomization/pay/apps BuildFailed main@sha1:a")},
		},
		"a source: fetched, failing, fetched again": {
			{at: 1, apply: gitRepository("main@sha1:a", condition("Ready", yes, "Succeeded", "stored", 1)), want: words("flux.succeeded GitRepository/pay/config Succeeded main@sha1:a")},
			{at: 5, apply: gitRepository("main@sha1:b", condition("Ready", yes, "Succeeded", "stored", 1)), want: words("flux.succeeded GitRepository/pay/config Succeeded main@sha1:b")},
			{at: 6, apply: gitRepository("main@sha1:b", condition("Ready", no, "GitOperationFailed", "no route to 10.0.0.1:443", 6)), want: words(
				"flux.failed GitRepository/pay/config GitOperationFailed main@sha1:b", "episode.opened GitRepository/pay/config GitOperationFailed")},
			{at: 66, apply: gitRepository("main@sha1:b", condition("Ready", no, "GitOperationFailed", "no route to 10.0.0.2:443", 6))},
			{at: 70, apply: gitRepository("main@sha1:b", condition("Ready", yes, "Succeeded", "stored", 70)), want: words(
				"flux.succeeded GitRepository/pay/config Succeeded main@sha1:b", "episode.resolved GitRepository/pay/config GitOperationFailed: reconciled main@sha1:b")},
		},
		"a Helm install that fails is one episode, also when retries are exhausted": {
			{at: 2, apply: helmRelease("1.0.0", condition("Ready", no, "InstallFailed", "timed out", 2), condition("Released", no, "InstallFailed", "timed out", 2)), want: words(
				"flux.failed HelmRelease/pay/redis InstallFailed", "episode.opened HelmRelease/pay/redis InstallFailed")},
			{at: 9, apply: helmRelease("1.0.0", condition("Stalled", yes, "RetriesExceeded", "timed out", 9), condition("Ready", no, "RetriesExceeded", "timed out", 9),
				condition("Released", no, "InstallFailed", "timed out", 2)), want: words("flux.stalled HelmRelease/pay/redis RetriesExceeded")},
			{at: 90, apply: helmRelease("1.0.1", condition("Ready", yes, "UpgradeSucceeded", "ok", 90)), want: words(
				"flux.succeeded HelmRelease/pay/redis UpgradeSucceeded", "episode.resolved HelmRelease/pay/redis InstallFailed: reconciled")},
		},
		"a Helm upgrade of the same chart is told": {
			{at: 2, apply: released(1), want: words("flux.succeeded HelmRelease/pay/redis UpgradeSucceeded")},
			{at: 3, apply: released(1)},
			{at: 4, apply: released(2), want: words("flux.succeeded HelmRelease/pay/redis UpgradeSucceeded")},
		},
		"a HelmRepository of OCI has no status and is fine": {
			{at: 2, apply: &sourcev1.HelmRepository{ObjectMeta: meta1("charts"), Spec: sourcev1.HelmRepositorySpec{Type: "oci"}},
				want: words("flux.succeeded HelmRepository/pay/charts Succeeded")},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func released(version int) *helmv2.HelmRelease {
	h := helmRelease("1.0.0", condition("Ready", metav1.ConditionTrue, "UpgradeSucceeded", "ok", 2))
	h.Status.History = helmv2.Snapshots{{ChartVersion: "1.0.0", Version: version, Status: "deployed"}}
	return h
}

func TestEverySourceKindIsRead(t *testing.T) {
	at := meta.Artifact{Revision: "r@sha256:1", Metadata: map[string]string{originAnnotation: "main@sha1:c"}}
	conds := []metav1.Condition{condition("Ready", metav1.ConditionTrue, "Succeeded", "", 1)}
	for kind, obj := range map[string]Object{
		"OCIRepository": &sourcev1.OCIRepository{ObjectMeta: meta1("s"), Status: sourcev1.OCIRepositoryStatus{Artifact: &at, Conditions: conds, ObservedGeneration: 1}},
		"HelmChart":     &sourcev1.HelmChart{ObjectMeta: meta1("s"), Status: sourcev1.HelmChartStatus{Artifact: &at, Conditions: conds, ObservedGeneration: 1}},
		"Bucket":        &sourcev1.Bucket{ObjectMeta: meta1("s"), Status: sourcev1.BucketStatus{Artifact: &at, Conditions: conds, ObservedGeneration: 1}},
	} {
		drafts := New(Options{}).Apply(obj, sec(1)).Drafts
		if len(drafts) != 1 || drafts[0].Type != event.FluxSucceeded || drafts[0].Object.Kind != kind {
			t.Errorf("%s: %v", kind, lines(drafts))
		}
		if data := drafts[0].Data.(event.Flux); data.OriginRevision != "main@sha1:c" || data.AppliedRevision != "r@sha256:1" {
			t.Errorf("%s: %+v", kind, data)
		}
	}
}

func TestFluxPayload(t *testing.T) {
	k := kustomization("main@sha1:b", "main@sha1:a", condition("Ready", metav1.ConditionFalse, "PruneFailed", "password=hunter2 rejected", 7))
	k.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
	k.Spec.Path, k.Spec.DependsOn = "./apps", []meta.DependencyReference{{Name: "infra"}, {Namespace: "other", Name: "crds"}}
	k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: make([]kustomizev1.ResourceRef, 3)}
	k.Status.History = meta.History{{LastReconciledDuration: metav1.Duration{Duration: 1500 * time.Millisecond}}}
	k.Status.LastAppliedOriginRevision = "main@sha1:origin"
	want := event.Flux{
		APIVersion: "kustomize.toolkit.fluxcd.io/v1", Reason: "PruneFailed", Message: "password=*** rejected",
		AttemptedRevision: "main@sha1:b", AppliedRevision: "main@sha1:a", OriginRevision: "main@sha1:origin", Inventory: 3, DurationMillis: 1500,
		Source: event.Object{Kind: "GitRepository", Namespace: "pay", Name: "config"}, Path: "./apps", Generation: 1,
		DependsOn: []event.Object{{Kind: "Kustomization", Namespace: "pay", Name: "infra"}, {Kind: "Kustomization", Namespace: "other", Name: "crds"}},
		Owner:     event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "root"},
	}
	got := New(Options{}).Apply(k, sec(9)).Drafts[0]
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if !got.Time.Equal(sec(7)) {
		t.Errorf("time = %s, want that of the condition, %s", got.Time, sec(7))
	}
}

func TestASuccessIsToldOnceWhenFluxWritesItInTwoPatches(t *testing.T) {
	k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "flux-system", Generation: 1}}
	at := metav1.NewTime(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))
	k.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: "ReconciliationSucceeded", ObservedGeneration: 1, LastTransitionTime: at}}
	k.Status.ObservedGeneration, k.Status.LastAttemptedRevision = 1, "main@sha1:b"
	o := New(Options{Cluster: "a"})
	first := o.Apply(k, at.Time)
	k = k.DeepCopy()
	k.Status.LastAppliedRevision = "main@sha1:b"
	second := o.Apply(k, at.Time)
	var told []event.Type
	for _, d := range append(first.Drafts, second.Drafts...) {
		told = append(told, d.Type)
	}
	if diff := cmp.Diff([]event.Type{event.FluxProgressing, event.FluxSucceeded}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

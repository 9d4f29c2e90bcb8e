package flux

import (
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// strict reads an object into its type and refuses fields that the type does not have.
func strict(t *testing.T, obj *unstructured.Unstructured, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, into, true); err != nil {
		t.Fatalf("%s: %v", obj.GetKind(), err)
	}
}

func TestSyncFollowsTheClustersFolder(t *testing.T) {
	objs := Sync{
		ClusterID: "prod-aws-eu1", URL: "https://git.example.com/config.git", Branch: "main", Interval: 30 * time.Second,
		Secret: map[string][]byte{"username": []byte("git")}, Values: map[string]string{"CLUSTER_NAME": "prod-aws-eu1"},
	}.Objects()
	var values corev1.ConfigMap
	var secret corev1.Secret
	var source sourcev1.GitRepository
	var root kustomizev1.Kustomization
	for i, into := range []any{&values, &secret, &source, &root} {
		strict(t, objs[i], into)
	}
	for _, obj := range objs {
		if obj.GetNamespace() != "flux-system" || obj.GetLabels()[fleetv1.LabelCluster] != "prod-aws-eu1" {
			t.Errorf("%s %s/%s does not say whose it is", obj.GetKind(), obj.GetNamespace(), obj.GetName())
		}
	}
	if diff := cmp.Diff(map[string]string{"CLUSTER_NAME": "prod-aws-eu1"}, values.Data); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if values.Labels["reconcile.fluxcd.io/watch"] != "Enabled" {
		t.Error("Flux would not act on a change of the values")
	}
	if diff := cmp.Diff(map[string][]byte{"username": []byte("git")}, secret.Data); diff != "" {
		t.Errorf("secret (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sourcev1.GitRepositorySpec{
		URL: "https://git.example.com/config.git", SecretRef: &meta.LocalObjectReference{Name: "fairway"},
		Interval: metav1.Duration{Duration: 30 * time.Second}, Timeout: &metav1.Duration{Duration: time.Minute},
		Reference: &sourcev1.GitRepositoryRef{Branch: "main"}, Ignore: new("/clusters/*\n!/clusters/prod-aws-eu1\n"),
	}, source.Spec); diff != "" {
		t.Errorf("GitRepository (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: 10 * time.Minute}, RetryInterval: &metav1.Duration{Duration: 30 * time.Second},
		Timeout: &metav1.Duration{Duration: 5 * time.Minute}, Path: "./clusters/prod-aws-eu1", Prune: true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "fairway"},
		PostBuild: &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "fairway-cluster-values"}}},
	}, root.Spec); diff != "" {
		t.Errorf("Kustomization (-want +got):\n%s", diff)
	}
}

func TestAPublicRepositoryHasNoSecret(t *testing.T) {
	objs := Sync{ClusterID: "c1", URL: "https://git.example.com/config.git", Branch: "main"}.Objects()
	var source sourcev1.GitRepository
	for _, obj := range objs {
		if obj.GetKind() == "Secret" {
			t.Error("a Secret was made of nothing")
		}
		if obj.GetKind() == sourcev1.GitRepositoryKind {
			strict(t, obj, &source)
		}
	}
	if source.Spec.SecretRef != nil || source.Spec.Interval.Duration != time.Minute {
		t.Errorf("GitRepository %+v, want no secret and an interval of 1m", source.Spec)
	}
}

func ready(status metav1.ConditionStatus, reason, message string, generation int64) []metav1.Condition {
	return []metav1.Condition{{Type: "Ready", Status: status, Reason: reason, Message: message, ObservedGeneration: generation}}
}

func TestSyncState(t *testing.T) {
	const revision, newer = "main@sha1:aaaa", "main@sha1:bbbb"
	source := func(change func(*sourcev1.GitRepository)) *sourcev1.GitRepository {
		s := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		s.Status = sourcev1.GitRepositoryStatus{
			ObservedGeneration: 1, Artifact: &meta.Artifact{Revision: revision},
			Conditions: ready(metav1.ConditionTrue, "Succeeded", "stored artifact", 1),
		}
		if change != nil {
			change(s)
		}
		return s
	}
	root := func(change func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
		k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		k.Status = kustomizev1.KustomizationStatus{
			ObservedGeneration: 1, LastAppliedRevision: revision,
			Conditions: ready(metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision", 1),
		}
		if change != nil {
			change(k)
		}
		return k
	}
	for _, c := range []struct {
		name   string
		source *sourcev1.GitRepository
		root   *kustomizev1.Kustomization
		want   SyncState
	}{
		{
			"both well", source(nil), root(nil),
			SyncState{Ready: true, Reason: "Succeeded", Message: "applied " + revision, Revision: revision},
		},
		{
			"a newer commit is on its way",
			source(func(s *sourcev1.GitRepository) { s.Status.Artifact.Revision = newer }), root(nil),
			SyncState{Ready: true, Reconciling: true, Reason: "Succeeded", Message: "applied " + revision + "; " + newer + " is on its way", Revision: revision},
		},
		{
			"the source was never looked at",
			source(func(s *sourcev1.GitRepository) { s.Status = sourcev1.GitRepositoryStatus{ObservedGeneration: -1} }), root(nil),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the repository is being fetched", Revision: revision},
		},
		{
			"the source cannot be fetched, and Flux has not moved the status' generation",
			source(func(s *sourcev1.GitRepository) {
				s.Status = sourcev1.GitRepositoryStatus{ObservedGeneration: -1, Conditions: ready(metav1.ConditionFalse, "GitOperationFailed", "authentication required", 1)}
			}), root(nil),
			SyncState{Failed: true, Reason: "ReconcileFailed", Message: "the repository cannot be fetched (GitOperationFailed): authentication required", Revision: revision},
		},
		{
			"a failure of an older generation is no news",
			source(func(s *sourcev1.GitRepository) {
				s.Generation = 2
				s.Status.Conditions = ready(metav1.ConditionFalse, "GitOperationFailed", "authentication required", 1)
			}), root(nil),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the repository is being fetched", Revision: revision},
		},
		{
			"the folder cannot be built", source(nil),
			root(func(k *kustomizev1.Kustomization) {
				k.Status.Conditions = ready(metav1.ConditionFalse, "BuildFailed", "no such file", 1)
			}),
			SyncState{Failed: true, Reason: "ReconcileFailed", Message: "the cluster's folder cannot be applied (BuildFailed): no such file", Revision: revision},
		},
		{
			"the root looked before its source had anything", source(nil),
			root(func(k *kustomizev1.Kustomization) {
				k.Status = kustomizev1.KustomizationStatus{Conditions: ready(metav1.ConditionFalse, "ArtifactFailed", "Source artifact not found", 1)}
			}),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the repository was fetched; the root Kustomization has not taken it yet"},
		},
		{
			"the root is at work", source(nil),
			root(func(k *kustomizev1.Kustomization) {
				k.Status = kustomizev1.KustomizationStatus{Conditions: ready(metav1.ConditionUnknown, "Progressing", "", 1)}
			}),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the root Kustomization is at work"},
		},
		{
			"the root is at work again on what it has applied", source(nil),
			root(func(k *kustomizev1.Kustomization) {
				k.Status.Conditions = ready(metav1.ConditionUnknown, "Progressing", "Reconciliation in progress", 1)
			}),
			SyncState{Reconciling: true, Again: true, Reason: "Syncing", Message: "the root Kustomization is at work", Revision: revision},
		},
		{
			"the root is at work on a newer commit", source(func(s *sourcev1.GitRepository) { s.Status.Artifact.Revision = newer }),
			root(func(k *kustomizev1.Kustomization) {
				k.Status.Conditions = ready(metav1.ConditionUnknown, "Progressing", "Reconciliation in progress", 1)
			}),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the root Kustomization is at work", Revision: revision},
		},
		{
			"the root was changed and not looked at again", source(nil),
			root(func(k *kustomizev1.Kustomization) { k.Generation = 2 }),
			SyncState{Reconciling: true, Reason: "Syncing", Message: "the root Kustomization is at work", Revision: revision},
		},
		{
			"somebody suspended the root", source(nil),
			root(func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }),
			SyncState{Reason: "Suspended", Message: "the Kustomization fairway in flux-system is suspended; resume it with flux resume", Revision: revision},
		},
		{
			"somebody suspended the source",
			source(func(s *sourcev1.GitRepository) { s.Spec.Suspend = true }), root(nil),
			SyncState{Reason: "Suspended", Message: "the GitRepository fairway in flux-system is suspended; resume it with flux resume", Revision: revision},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, syncState(c.source, c.root)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

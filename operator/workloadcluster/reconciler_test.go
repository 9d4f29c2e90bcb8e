package workloadcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// TestOnAPlatformCluster runs on two real API servers. Its cases share them, in their order.
func TestOnAPlatformCluster(t *testing.T) {
	s := newSuite(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"the API refuses what its rules forbid", refusesInvalid},
		{"without a Fleet a cluster is reached and everything else waits", waitsForFleet},
		{"when credentials end is a metric", showsExpiries},
		{"kubeconfigs that cannot be used show what is wrong with them", refusesKubeconfigs},
		{"a cluster that never answers is waited for by nobody", waitsForNobody},
		{"a Cluster API that is not there is told of", missesClusterAPI},
		{"an artifact that cannot be had keeps the agent from nothing", missesArtifact},
		{"a Flux that is not Fairway's is left alone", leavesForeignFlux},
		{"a cluster from elsewhere is surveyed, and nothing waits for it", surveysAdopted},
		{"a Flux is taken over when that is said, unless something clashes", takesOver},
		{"of two clusters of one id the older keeps it, and nothing of it is touched", keepsID},
		{"a cluster becomes Ready, and a second pass writes nothing", becomesReady},
		{"a cluster gets the version that the upgrade gives it, and a pin takes it back", upgradesAndRollsBack},
		{"what the status lost is learned from the cluster before anything is upgraded", recallsVersion},
		{"what the Fleet sets for agents reaches them, but for what they cannot use", passesSettings},
		{"credentials of another cluster are replaced and told of", replacesCredentials},
		{"a cluster gets the Fleet's layers by its file in the repository", writesLayers},
		{"a suspended cluster is left alone", suspends},
		{"a cluster is published for other tools where the Fleet asks for it", publishesProfiles},
		{"a cluster that leaves loses the agent and its credentials, and keeps Flux", detaches},
		{"a cluster that uninstalls loses what Fairway installed", uninstalls},
		{"a cluster that is gone for ever leaves by its deadline", leavesByDeadline},
		{"a Cluster API cluster is followed as it comes up", followsClusterAPI},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func missesClusterAPI(t *testing.T, s *suite) {
	s.platform.Namespace(t, "no-capi")
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "no-capi", Name: "no-capi"},
		Spec:       fleetv1.WorkloadClusterSpec{Environment: "dev", Access: fleetv1.Access{ClusterRef: local("c")}},
	}
	platformtest.Create(t, s.platform.Client, obj)
	defer remove(t, s.platform.Client, obj)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionReachable: "False/ClusterAPINotInstalled"})
}

func missesArtifact(t *testing.T, s *suite) {
	s.makeFleet(t, func(f *fleetv1.Fleet) { f.Spec.Flux.Artifact = "oci://127.0.0.1:1/flux-manifests" })
	away := s.adopt(t, "", "away", nowhere(t, s.workload.Kubeconfig))
	obj := s.adopt(t, "", "no-artifact", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	defer remove(t, s.platform.Client, away)
	if result, err := s.pass(t, away); err != nil || result.RequeueAfter == 0 || result.RequeueAfter > 2*soonestRetry {
		t.Errorf("a cluster that points nowhere is tried again after %s, error %v", result.RequeueAfter, err)
	}
	if _, err := s.pass(t, obj); err == nil {
		t.Error("an artifact that cannot be had is not tried again")
	}
	compare(t, obj, map[string]string{
		fleetv1.ConditionReachable: "True/Succeeded", fleetv1.ConditionFluxReady: "False/FluxArtifactFailed",
		fleetv1.ConditionSynced: "Unknown/WaitingForPreviousStep", fleetv1.ConditionAgentConnected: "False/AgentRollingOut",
		"Ready": "False/FluxArtifactFailed", "Reconciling": "True/FluxArtifactFailed",
	})
	if err := s.workload.Client.Get(t.Context(), agentKey, &corev1.Secret{}); err != nil {
		t.Errorf("the agent is not there: %v", err)
	}
}

var agentKey = client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: agent.Name}

func leavesForeignFlux(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	s.workload.Namespace(t, "gitops")
	foreign := fluxController("source-controller", "v2.9.5")
	foreign.Namespace = "gitops"
	platformtest.Create(t, s.workload.Client, foreign)
	defer remove(t, s.workload.Client, foreign)
	obj := s.adopt(t, "", "foreign-flux", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: "False/FluxNotOurs", "Stalled": "True/FluxNotOurs"})
	obj.Spec.Mode = fleetv1.ModeObserve
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.agents.connect("foreign-flux")
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: "Unknown/ObserveOnly", "Ready": "True/Succeeded", "Stalled": "none"})
	if obj.Status.Flux.Version != "v2.9.5" {
		t.Errorf("Flux's version is not told: %+v", obj.Status.Flux)
	}
}

func keepsID(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	first := s.adopt(t, "team-b", "twin", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, first)
	if _, err := s.pass(t, first); err != nil {
		t.Fatal(err)
	}
	credentials := s.credentials(t, "twin")
	// The API server counts creation in seconds.
	platformtest.Eventually(t, func(context.Context) string {
		if time.Since(first.CreationTimestamp.Time) < time.Second {
			return "the second has not passed"
		}
		return ""
	})
	second := s.adopt(t, "team-a", "twin", s.workload.Kubeconfig)
	if _, err := s.pass(t, second); err != nil {
		t.Fatal(err)
	}
	compare(t, second, map[string]string{"Ready": "False/ClusterIDTaken", "Stalled": "True/ClusterIDTaken", fleetv1.ConditionReachable: "none"})
	if !strings.Contains(message(second, "Ready"), "team-b/twin") {
		t.Errorf("the message does not name the holder: %s", message(second, "Ready"))
	}
	if err := s.platform.Client.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(t, second); err != nil {
		t.Fatal(err)
	}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(second), second); !apierrors.IsNotFound(err) {
		t.Errorf("the second does not go: %v", err)
	}
	if diff := cmp.Diff(credentials, s.credentials(t, "twin")); diff != "" {
		t.Errorf("the holder's credentials were touched:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"registered"}, s.said.of("twin")); diff != "" {
		t.Errorf("announcements (-want +have):\n%s", diff)
	}
}

func (s *suite) credentials(t *testing.T, id string) []byte {
	t.Helper()
	var secret corev1.Secret
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent-" + id}, &secret); err != nil {
		t.Fatal(err)
	}
	return secret.Data["agent.creds"]
}

// ready brings a cluster to Ready.
func (s *suite) ready(t *testing.T, name string) *fleetv1.WorkloadCluster {
	t.Helper()
	obj := s.adopt(t, "", name, s.workload.Kubeconfig)
	s.settle(t, obj)
	return obj
}

func (s *suite) settle(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	s.agents.connect(obj.Name)
	for _, act := range []func(){
		func() { s.runEverything(t) },
		func() { s.applyRevision(t, "main@sha1:4f1c9d2") },
		func() {},
	} {
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		act()
	}
	if got := shows(obj, "Ready"); got != "True/Succeeded" {
		t.Fatalf("the cluster is not Ready: %s: %s", got, message(obj, "Ready"))
	}
}

// certificateEnd is when the client certificate of the workload cluster's kubeconfig ends.
func (s *suite) certificateEnd(t *testing.T) time.Time {
	t.Helper()
	config, err := remote.Config(s.workload.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	_, end := remote.Lifetime(config)
	return end.Local()
}

func becomesReady(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	obj := s.ready(t, "ready")
	defer remove(t, s.platform.Client, obj)
	want := fleetv1.WorkloadClusterStatus{
		ID: "ready", KubernetesVersion: obj.Status.KubernetesVersion, ObservedGeneration: obj.Generation,
		Access: fleetv1.AccessStatus{Expires: &metav1.Time{Time: s.certificateEnd(t)}},
		Flux: fleetv1.FluxStatus{Version: "v2.9.5", AttemptedVersion: "v2.9.5", AttemptedAt: obj.Status.Flux.AttemptedAt,
			PreviousVersion: obj.Status.Flux.PreviousVersion, Digest: "sha256:" + strings.Repeat("ab", 32), Revision: "main@sha1:4f1c9d2"},
		Agent: fleetv1.AgentStatus{Version: "v0.1.0", CredentialsExpire: obj.Status.Agent.CredentialsExpire},
	}
	if diff := cmp.Diff(want, obj.Status, cmpopts.IgnoreFields(fleetv1.WorkloadClusterStatus{}, "Conditions", "Survey")); diff != "" {
		t.Errorf("status (-want +have):\n%s", diff)
	}
	// With what was applied remembered; compared anew; compared and found untouched afterwards; untouched.
	for _, clock := range []time.Duration{0, 2 * reapply, 2 * reapply, 2 * reapply} {
		s.clock.SetTime(s.clock.Now().Add(clock))
		before := s.versionsOfEverything(t)
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.versionsOfEverything(t)); diff != "" {
			t.Errorf("a second pass after %s wrote (-before +after):\n%s", clock, diff)
		}
	}
	if diff := cmp.Diff([]string{"registered"}, slicesCompact(s.said.of("ready"))); diff != "" {
		t.Errorf("announcements (-want +have):\n%s", diff)
	}
	s.mendsDrift(t, obj)
}

// mendsDrift changes by hand what Fairway has put onto a cluster, once it is no longer compared at every pass.
func (s *suite) mendsDrift(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	for _, set := range []string{setFlux, setSync, setAgent} {
		if last, known := s.applied.last(recentKey{obj.ID(), set}); !known || !last.whole {
			t.Errorf("%s is compared at every pass: %+v", set, last)
		}
	}
	role := &rbacv1.ClusterRole{}
	if err := s.workload.Client.Get(t.Context(), agentKey, role); err != nil {
		t.Fatal(err)
	}
	want := role.DeepCopy().Rules
	role.Rules = nil
	if err := s.workload.Client.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	s.clock.SetTime(s.clock.Now().Add(2 * reapply))
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	if err := s.workload.Client.Get(t.Context(), agentKey, role); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("the agent's rights were changed by hand (-want +have):\n%s", diff)
	}
}

func slicesCompact(in []string) []string {
	var out []string
	for _, each := range in {
		if len(out) == 0 || out[len(out)-1] != each {
			out = append(out, each)
		}
	}
	return out
}

// versionsOfEverything are the resource versions of all that the operator may write, on both
// clusters.
func (s *suite) versionsOfEverything(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for where, c := range map[string]client.Client{"platform": s.platform.Client, "workload": s.workload.Client} {
		for _, gvk := range []schema.GroupVersionKind{
			{Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Namespace"}, {Version: "v1", Kind: "ServiceAccount"},
			{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
			{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
			{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
			{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"},
			{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
			{Group: "fleet.fairway.dev", Version: "v1alpha1", Kind: "WorkloadCluster"},
			{Group: "fleet.fairway.dev", Version: "v1alpha1", Kind: "Fleet"},
		} {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
			if err := c.List(t.Context(), list); err != nil {
				continue // a kind that this cluster does not have
			}
			for _, item := range list.Items {
				out[fmt.Sprintf("%s %s %s/%s", where, gvk.Kind, item.Namespace, item.Name)] = item.ResourceVersion
			}
		}
	}
	return out
}

func passesSettings(t *testing.T, s *suite) {
	fleet := s.makeFleet(t, nil)
	obj := s.ready(t, "settings")
	defer remove(t, s.platform.Client, obj)
	args := func() []string {
		t.Helper()
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		var d appsv1.Deployment
		if err := s.workload.Client.Get(t.Context(), agentKey, &d); err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(d.Spec.Template.Spec.Containers[0].Args, func(arg string) bool {
			return !strings.HasPrefix(arg, "--default-team") && !strings.HasPrefix(arg, "--team-") && !strings.HasPrefix(arg, "--platform-") && !strings.HasPrefix(arg, "--redact")
		})
	}
	platform := []string{"--platform-team=platform", "--platform-namespaces=flux-system,fairway-system,kube-system"}
	if diff := cmp.Diff(platform, args()); diff != "" {
		t.Errorf("arguments of a Fleet without settings (-want +have):\n%s", diff)
	}
	fleet.Spec.Ownership.TeamAliases = map[string]fleetv1.TeamName{"squad-pay": "payments", "old": "payments"}
	fleet.Spec.Events.Redact = []fleetv1.RedactRule{{Name: "card", Pattern: `\d{16}$`}}
	if err := s.platform.Client.Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	obj.Labels = map[string]string{fleetv1.LabelTeam: "acquired"}
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat([]string{"--team-alias=old=payments", "--team-alias=squad-pay=payments", "--default-team=acquired"}, platform, []string{`--redact=card=\d{16}$$`})
	if diff := cmp.Diff(want, args()); diff != "" {
		t.Errorf("arguments (-want +have):\n%s", diff)
	}
	before := s.versionsOfEverything(t)
	args()
	if diff := cmp.Diff(before, s.versionsOfEverything(t)); diff != "" {
		t.Errorf("a second pass wrote (-before +after):\n%s", diff)
	}
}

func replacesCredentials(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	obj := s.ready(t, "mine")
	defer remove(t, s.platform.Client, obj)
	other, err := s.Store.Agent(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := s.workload.Client.Get(t.Context(), agentKey, &secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[agent.KeyCredentials] = other.Creds
	if err := s.workload.Client.Update(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionAgentConnected: "False/AgentRefused"})
	if !strings.Contains(message(obj, fleetv1.ConditionAgentConnected), "cluster other") {
		t.Errorf("the message does not say whose they were: %s", message(obj, fleetv1.ConditionAgentConnected))
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionAgentConnected: "True/Succeeded", "Ready": "True/Succeeded"})
}

func suspends(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	obj := s.adopt(t, "", "suspended", s.workload.Kubeconfig)
	obj.Spec.Suspend = true
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{"Ready": "Unknown/Suspended", fleetv1.ConditionReachable: "none"})
	remove(t, s.platform.Client, obj)
}

func followsClusterAPI(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	s.platform.InstallClusterAPI(t)
	s.platform.Namespace(t, "clusters")
	cluster, controlPlane := eksCluster("clusters", "eks")
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "eks"},
		Spec:       fleetv1.WorkloadClusterSpec{Environment: "dev", Access: fleetv1.Access{ClusterRef: local("eks")}},
	}
	platformtest.Create(t, s.platform.Client, obj)
	defer remove(t, s.platform.Client, obj)
	expect := func(want string) {
		t.Helper()
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		compare(t, obj, map[string]string{fleetv1.ConditionReachable: want})
	}
	expect("False/ClusterNotFound")
	platformtest.Create(t, s.platform.Client, cluster, controlPlane)
	expect("False/ControlPlaneNotInitialized")
	cluster.Object["status"] = map[string]any{"initialization": map[string]any{"controlPlaneInitialized": true, "infrastructureProvisioned": true}}
	if err := s.platform.Client.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	expect("False/KubeconfigNotFound")
	platformtest.Create(t, s.platform.Client, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "eks-kubeconfig"}, Data: map[string][]byte{"value": s.workload.Kubeconfig},
	})
	expect("True/Succeeded")
	compare(t, obj, map[string]string{fleetv1.ConditionSurveyed: "none"})
	if diff := cmp.Diff(fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1", Account: "123456789012"}, obj.Status.Cloud); diff != "" {
		t.Errorf("cloud (-want +have):\n%s", diff)
	}
	cluster.SetAnnotations(map[string]string{capi.PausedAnnotation: ""})
	if err := s.platform.Client.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{"Ready": "Unknown/Paused"})
	remove(t, s.platform.Client, cluster)
	s.leave(t, obj) // at once: there is nothing left to clean
}

package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

const (
	badFlux  = "v2.9.6" // its kustomize-controller has an argument that it refuses
	goodFlux = "v2.9.7"
	canary   = fleet.AWS
	soak     = 3 * time.Second // of its ring
)

// A bad version of Flux stops at the one cluster of the first ring; a person takes it back there, and the next
// version goes through all rings, in order. What runs on the clusters is never restarted by any of it.
func TestRings(t *testing.T) {
	before := podinfoPods(t)
	patchCluster(t, canary, `{"metadata":{"labels":{"ring":"canary"}}}`)
	patchFleet(t, fmt.Sprintf(`{"spec":{"flux":{"upgrade":{"rings":[
		{"name":"canary","clusterSelector":{"matchLabels":{"ring":"canary"}},"soak":%q},
		{"name":"rest","environments":["prod","staging"],"soak":"0s"}]}}}}`, soak))
	defer patchFleet(t, `{"spec":{"flux":{"upgrade":{"rings":null}}}}`)
	defer patchCluster(t, canary, `{"metadata":{"labels":{"ring":null}},"spec":{"flux":{"version":null}}}`)

	failsInTheFirstRing(t)
	isTakenBackByHand(t)
	goesThroughAllRings(t)

	if diff := cmp.Diff(before, podinfoPods(t)); diff != "" {
		t.Errorf("podinfo was restarted (-before +after):\n%s", diff)
	}
	t.Logf("fairway get clusters -o wide:\n%s", bank.MustFairway(t, "get", "clusters", "-o", "wide"))
	eventually(t, time.Minute, "the fleet is Ready", allReady)
}

func failsInTheFirstRing(t *testing.T) {
	began := time.Now()
	publish(t, badFlux, func(manifests string) string {
		documents := strings.Split(manifests, "\n---\n")
		for i, document := range documents {
			if strings.Contains(document, "kind: Deployment\n") && strings.Contains(document, "\n  name: kustomize-controller\n") {
				documents[i] = strings.Replace(document, "- --enable-leader-election\n", "- --enable-leader-election\n        - --no-such-flag\n", 1)
			}
		}
		return strings.Join(documents, "\n---\n")
	})
	fleetUpgrade(t, 90*time.Second, "the upgrade is halted", fleetv1.ReasonHalted)
	t.Logf("a bad version: from its publication to the halt %s", time.Since(began).Round(100*time.Millisecond))
	eventually(t, 10*time.Second, "the Fleet's status names the cluster", func(context.Context) (bool, string) { // it is written after the conditions
		halt := getFleet(t).Status.FluxUpgrade.Halted
		return halt != nil && halt.Cluster == canary && halt.Reason == "CrashLoopBackOff", fmt.Sprintf("halted by %+v", halt)
	})
	if text := apimeta.FindStatusCondition(getFleet(t).Status.Conditions, fleetv1.ConditionFluxUpgraded).Message; !strings.Contains(text, canary) {
		t.Errorf("the condition does not name %s: %s", canary, text)
	} else {
		t.Log(text)
	}
	for _, id := range []string{fleet.Azure, fleet.Acquired} {
		says(t, id, fmt.Sprintf("Flux %s; %s is halted: it failed on %s", tools.FluxVersion, badFlux, canary))
	}
}

// isTakenBackByHand pins the failed cluster to the version before, and lets it go again: the halt outlasts both.
func isTakenBackByHand(t *testing.T) {
	began := time.Now()
	patchCluster(t, canary, fmt.Sprintf(`{"spec":{"flux":{"version":%q}}}`, tools.FluxVersion))
	says(t, canary, "Flux "+tools.FluxVersion)
	t.Logf("%s is back on %s after %s", canary, tools.FluxVersion, time.Since(began).Round(100*time.Millisecond))
	patchCluster(t, canary, `{"spec":{"flux":{"version":null}}}`)
	says(t, canary, fmt.Sprintf("Flux %s; %s is halted: it failed on %s", tools.FluxVersion, badFlux, canary))
	for _, id := range members {
		if flux := getCluster(t.Context(), t, id).Status.Flux; flux.Version != tools.FluxVersion {
			t.Errorf("%s has Flux %+v although the upgrade is halted", id, flux)
		}
	}
}

func goesThroughAllRings(t *testing.T) {
	began := time.Now()
	publish(t, goodFlux, func(manifests string) string { return manifests })
	got, healthy := map[string]time.Duration{}, map[string]time.Duration{}
	eventually(t, 2*time.Minute, "every cluster has Flux "+goodFlux, func(ctx context.Context) (bool, string) {
		state := ""
		for _, id := range members {
			obj := getCluster(ctx, t, id)
			if obj.Status.Flux.AttemptedVersion == goodFlux && got[id] == 0 {
				got[id] = time.Since(began)
			}
			ready := apimeta.FindStatusCondition(obj.Status.Conditions, fleetv1.ConditionFluxReady)
			if ready != nil && ready.Message == "Flux "+goodFlux && healthy[id] == 0 {
				healthy[id] = time.Since(began)
			}
			if ready != nil {
				state += "\n  " + id + ": " + ready.Message
			}
		}
		return len(healthy) == len(members), state
	})
	fleetUpgrade(t, 30*time.Second, "the upgrade is done", fleetv1.ReasonUpToDate)
	first := apimeta.FindStatusCondition(getCluster(t.Context(), t, canary).Status.Conditions, fleetv1.ConditionFluxReady).LastTransitionTime
	for _, id := range members {
		t.Logf("%-15s got %s after %s, healthy after %s", id, goodFlux, got[id].Round(100*time.Millisecond), healthy[id].Round(100*time.Millisecond))
		obj := getCluster(t.Context(), t, id)
		if at := obj.Status.Flux.AttemptedAt; id != canary && at.Time.Before(first.Add(soak-time.Second)) { // both count in seconds
			t.Errorf("%s got it at %s, before %s, healthy at %s, had soaked", id, at, canary, first)
		}
		if text, ok := obj.Annotations[fleetv1.AnnotationFluxFailed]; ok {
			t.Errorf("%s still remembers a failure: %s", id, text)
		}
	}
	eventually(t, 10*time.Second, "the Fleet's status counts them", func(context.Context) (bool, string) {
		counts := getFleet(t).Status.FluxUpgrade.Clusters
		return counts == fleetv1.UpgradeCounts{Upgraded: int32(len(members))}, fmt.Sprintf("%+v", counts)
	})
}

// publish publishes a version and lets the operator look for it now.
func publish(t *testing.T, version string, change func(manifests string) string) {
	t.Helper()
	if err := bank.PublishFlux(t.Context(), version, change); err != nil {
		t.Fatal(err)
	}
	if err := bank.RequestFleet(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// says waits until a cluster's Flux is ready and says a text.
func says(t *testing.T, id, want string) {
	t.Helper()
	eventually(t, 90*time.Second, id+" says: "+want, func(ctx context.Context) (bool, string) {
		c := apimeta.FindStatusCondition(getCluster(ctx, t, id).Status.Conditions, fleetv1.ConditionFluxReady)
		if c == nil {
			return false, "no condition"
		}
		return c.Status == "True" && c.Message == want, fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	})
}

func fleetUpgrade(t *testing.T, limit time.Duration, what, reason string) {
	t.Helper()
	eventually(t, limit, what, func(ctx context.Context) (bool, string) {
		obj := &fleetv1.Fleet{}
		if err := bank.Platform.Client().Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, obj); err != nil {
			return false, err.Error()
		}
		c := apimeta.FindStatusCondition(obj.Status.Conditions, fleetv1.ConditionFluxUpgraded)
		if c == nil {
			return false, "no condition"
		}
		return c.Reason == reason, c.Reason + ": " + c.Message
	})
}

func getFleet(t *testing.T) *fleetv1.Fleet {
	t.Helper()
	obj := &fleetv1.Fleet{}
	if err := bank.Platform.Client().Get(t.Context(), client.ObjectKey{Name: fleetv1.FleetName}, obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func getCluster(ctx context.Context, t *testing.T, id string) *fleetv1.WorkloadCluster {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{}
	if err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func patchFleet(t *testing.T, patch string) {
	t.Helper()
	obj := &fleetv1.Fleet{}
	obj.Name = fleetv1.FleetName
	mergePatch(t, obj, patch)
}

func patchCluster(t *testing.T, id, patch string) {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{}
	obj.Namespace, obj.Name = fleet.Namespace, id
	mergePatch(t, obj, patch)
}

// mergePatch also works when the test is over, to leave things as they were.
func mergePatch(t *testing.T, obj client.Object, patch string) {
	t.Helper()
	if !json.Valid([]byte(patch)) {
		t.Fatalf("no JSON: %s", patch)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := bank.Platform.Client().Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Error(err)
	}
}

// podinfoPods are the pods of podinfo on every cluster, each with how often its container was restarted.
func podinfoPods(t *testing.T) map[string]int32 {
	t.Helper()
	out := map[string]int32{}
	for _, id := range members {
		var list corev1.PodList
		if err := bank.Member(id).Client().List(t.Context(), &list, client.InNamespace(fleet.Team), client.MatchingLabels{"app": fleet.Service}); err != nil {
			t.Fatal(err)
		}
		for _, pod := range list.Items {
			if pod.DeletionTimestamp != nil { // of a story before this one
				continue
			}
			for _, status := range pod.Status.ContainerStatuses {
				out[id+" "+pod.Name+" "+string(pod.UID)] = status.RestartCount
			}
		}
	}
	if len(out) < 2*len(members) {
		t.Fatalf("podinfo runs only as %v", out)
	}
	return out
}

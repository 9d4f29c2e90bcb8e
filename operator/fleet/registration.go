package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/operator/steps"
)

// registerAction is the action of events about registering a Cluster.
const registerAction = "Register"

// maxNamed bounds how many Clusters a condition's message names.
const maxNamed = 10

// registration gives every Cluster API Cluster that the Fleet selects a WorkloadCluster.
func (r *Reconciler) registration(ctx context.Context, obj *fleetv1.Fleet) steps.Outcome {
	installed, err := capi.Installed(r.RESTMapper())
	if err != nil {
		return steps.Internal(err)
	}
	if !installed {
		return steps.Outcome{State: steps.Skipped, Reason: fleetv1.ReasonClusterAPIMissing,
			Message: "Cluster API (v1beta2) is not installed: only clusters with a kubeconfigRef can join"}
	}
	selector, err := selectorOf(obj)
	if err != nil {
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonNotRegistered,
			Message: fmt.Sprintf("spec.registration.clusterSelector: %v", err)}
	}
	selected, err := capi.List(ctx, r.Client, selector)
	if err != nil {
		return steps.Internal(err)
	}
	var clusters fleetv1.WorkloadClusterList
	if err := r.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil { // they are only looked at
		return steps.Internal(fmt.Errorf("list WorkloadClusters: %w", err))
	}
	plan := plan(selected, clusters.Items)
	for _, wc := range plan.create {
		if why := r.register(ctx, wc); why != nil {
			plan.refused = append(plan.refused, refusal{cluster: find(selected, wc.Namespace, wc.Name), why: why.Error()})
		}
	}
	r.tell(obj, plan.refused)
	return registered(len(selected), plan.refused)
}

// selectorOf is the Fleet's selector, or the one for the register label.
func selectorOf(obj *fleetv1.Fleet) (labels.Selector, error) {
	given := obj.Spec.Registration.ClusterSelector
	if given == nil {
		return labels.SelectorFromSet(labels.Set{fleetv1.LabelRegister: "true"}), nil
	}
	return metav1.LabelSelectorAsSelector(given)
}

// refusal is a Cluster that cannot join, and why.
type refusal struct {
	cluster capi.Cluster
	why     string
}

func (r refusal) String() string { return r.cluster.String() + ": " + r.why }

// joining is what is to be done about the selected Clusters.
type joining struct {
	create  []*fleetv1.WorkloadCluster
	refused []refusal
}

// plan decides who joins: each selected Cluster that is not going away, and that no WorkloadCluster
// of its namespace has its name or refers to.
func plan(selected []capi.Cluster, clusters []fleetv1.WorkloadCluster) joining {
	taken := map[types.NamespacedName]bool{}
	for i := range clusters {
		wc := &clusters[i]
		taken[types.NamespacedName{Namespace: wc.Namespace, Name: wc.Name}] = true
		if ref := wc.Spec.Access.ClusterRef; ref != nil {
			taken[types.NamespacedName{Namespace: wc.Namespace, Name: ref.Name}] = true
		}
	}
	var out joining
	for _, cluster := range selected {
		environment := cluster.Labels[fleetv1.LabelEnvironment]
		switch {
		case cluster.Deleting, taken[cluster.NamespacedName]:
		case environment == "":
			out.refused = append(out.refused, refusal{cluster, "set the label " + fleetv1.LabelEnvironment + " to the environment that it joins"})
		default:
			out.create = append(out.create, workloadCluster(cluster, environment))
		}
	}
	return out
}

func workloadCluster(cluster capi.Cluster, environment string) *fleetv1.WorkloadCluster {
	return &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cluster.Namespace,
			Name:      cluster.Name,
			// clusterctl move takes along what its Cluster owns; with the Cluster it goes away.
			OwnerReferences: []metav1.OwnerReference{cluster.Owner},
		},
		Spec: fleetv1.WorkloadClusterSpec{
			Environment: environment,
			Access:      fleetv1.Access{ClusterRef: &meta.LocalObjectReference{Name: cluster.Name}},
		},
	}
}

// register creates a WorkloadCluster. One that was created meanwhile is as good.
func (r *Reconciler) register(ctx context.Context, wc *fleetv1.WorkloadCluster) error {
	err := r.Create(ctx, wc)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create WorkloadCluster: %w", err)
	}
	return nil
}

func find(clusters []capi.Cluster, namespace, name string) capi.Cluster {
	i := slices.IndexFunc(clusters, func(c capi.Cluster) bool { return c.Namespace == namespace && c.Name == name })
	return clusters[i]
}

// tell records an event about each Cluster that cannot join, once for each reason: what the
// condition already says is no news.
func (r *Reconciler) tell(obj *fleetv1.Fleet, refused []refusal) {
	for _, each := range refused {
		if !alreadySaid(obj, each) {
			r.Recorder.Eventf(each.cluster.Object(), obj, corev1.EventTypeWarning, fleetv1.ReasonNotRegistered, registerAction,
				"%s", steps.Note("cannot join the fleet: "+each.why))
		}
	}
}

func alreadySaid(obj *fleetv1.Fleet, each refusal) bool {
	return slices.ContainsFunc(obj.Status.Conditions, func(c metav1.Condition) bool {
		return c.Type == fleetv1.ConditionClustersRegistered && strings.Contains(c.Message, each.String())
	})
}

func registered(selected int, refused []refusal) steps.Outcome {
	if len(refused) == 0 {
		return steps.Succeeded("%d selected Cluster API Clusters, all of them registered", selected)
	}
	slices.SortFunc(refused, func(a, b refusal) int { return strings.Compare(a.String(), b.String()) })
	var named []string
	for _, each := range refused[:min(len(refused), maxNamed)] {
		named = append(named, each.String())
	}
	message := fmt.Sprintf("%d Cluster API Clusters cannot join: %s", len(refused), strings.Join(named, "; "))
	if more := len(refused) - maxNamed; more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonNotRegistered, Message: message, After: steps.Jitter(registrationRetry)}
}

// registrationRetry is for Clusters that were refused by the API server; a label that is set comes
// by the watch.
const registrationRetry = time.Minute

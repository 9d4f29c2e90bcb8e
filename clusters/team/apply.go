package team

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
)

// Errors of Apply that another try does not mend. The text of what wraps them says what does.
var (
	// ErrTaken: the namespace is another team's, or is being deleted.
	ErrTaken = errors.New("the team cannot have its namespace")
	// ErrRoles: the shared ClusterRoles are not as they should be, and Fairway's account may not write them.
	ErrRoles = errors.New("the rights of teams cannot be set")
)

// Apply makes a cluster ready for a team's services. What is there as it should be is not written, and a namespace that is
// there is left as it is. Errors wrap ErrName, ErrTaken, ErrRoles or those of remote.Classify, or tell of what the cluster
// refuses.
//
// A right takes a moment until every API server of the cluster knows of it.
func Apply(ctx context.Context, c client.Client, team string) error {
	if err := Valid(team); err != nil {
		return err
	}
	if err := ensureNamespace(ctx, c, team); err != nil {
		return remote.Classify(err)
	}
	applier := flux.NewApplier(c)
	if err := ensureRoles(ctx, c, applier); err != nil {
		return remote.Classify(err)
	}
	objs := Objects(team)
	more, err := forTrying(ctx, c, team)
	if err != nil {
		return remote.Classify(err)
	}
	_, err = applier.Apply(ctx, SetName(team), append(objs, more...))
	return remote.Classify(err)
}

// ensureNamespace makes the namespace unless there is one. A namespace that is there may have been made by people or by a layer.
func ensureNamespace(ctx context.Context, c client.Client, team string) error {
	have := &metav1.PartialObjectMetadata{}
	have.SetGroupVersionKind(Namespace(team).GroupVersionKind())
	err := c.Get(ctx, client.ObjectKey{Name: team}, have)
	if apierrors.IsNotFound(err) {
		if err := c.Create(ctx, Namespace(team)); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("make namespace %s: %w", team, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at namespace %s: %w", team, err)
	}
	if have.DeletionTimestamp != nil {
		return fmt.Errorf("%w: namespace %s is being deleted", ErrTaken, team)
	}
	if other := have.Labels[fleetv1.LabelTeam]; other != "" && other != team {
		return fmt.Errorf("%w: namespace %s has the label %s=%s; take it off if the namespace is this team's", ErrTaken, team, fleetv1.LabelTeam, other)
	}
	return nil
}

// ensureRoles writes the shared ClusterRoles where they are not as they should be. They are looked at first, since an account
// that is no administrator's may not write them even unchanged.
func ensureRoles(ctx context.Context, c client.Client, applier *flux.Applier) error {
	for _, want := range Roles() {
		have, err := read(ctx, c, want)
		if err != nil {
			return err
		}
		if have != nil && holds(have, want) {
			continue
		}
		_, err = applier.Apply(ctx, SetRoles, Roles())
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("%w: adopt the cluster once more, with this version of Fairway and an administrator's kubeconfig: fairway adopt: %w", ErrRoles, err)
		}
		return err
	}
	return nil
}

// holds says whether a ClusterRole is as wanted. The rules of one that is aggregated are Kubernetes' to fill in.
func holds(have, want *unstructured.Unstructured) bool {
	for key, value := range want.GetLabels() {
		if have.GetLabels()[key] != value {
			return false
		}
	}
	for _, field := range []string{"rules", "aggregationRule"} {
		if value, ok := want.Object[field]; ok && !equality.Semantic.DeepEqual(have.Object[field], value) {
			return false
		}
	}
	return true
}

// read reads an object; nil when it is not there.
func read(ctx context.Context, c client.Client, of *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	have := &unstructured.Unstructured{}
	have.SetGroupVersionKind(of.GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(of), have)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s %s: %w", of.GetKind(), of.GetName(), err)
	}
	return have, nil
}

// forTrying binds Fairway's own account to RoleTry where that is there.
func forTrying(ctx context.Context, c client.Client, team string) ([]*unstructured.Unstructured, error) {
	have, err := read(ctx, c, RoleForTrying())
	if have == nil || err != nil {
		return nil, err
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return nil, fmt.Errorf("ask who Fairway is on the cluster: %w", err)
	}
	account, ok := strings.CutPrefix(review.Status.UserInfo.Username, "system:serviceaccount:")
	namespace, name, whole := strings.Cut(account, ":")
	if !ok || !whole {
		return nil, nil // an administrator, who needs no binding
	}
	return []*unstructured.Unstructured{ForTrying(team, namespace, name)}, nil
}

// Sets are the names of the sets that Apply left on a cluster, in the order in which flux.Applier.Remove is to take them. Flux
// applies nothing more of a team whose account is gone, and deletes nothing. Namespaces are in no set.
func Sets(ctx context.Context, c client.Client) ([]string, error) {
	inventories := &metav1.PartialObjectMetadataList{}
	inventories.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	err := c.List(ctx, inventories, client.InNamespace(fleetv1.FluxNamespace), client.HasLabels{flux.LabelManagedBy, flux.LabelSet})
	if err != nil {
		return nil, remote.Classify(fmt.Errorf("list the sets of teams: %w", err))
	}
	var teams, shared []string
	for i := range inventories.Items {
		switch set := inventories.Items[i].Labels[flux.LabelSet]; {
		case set == SetRoles:
			shared = []string{set}
		case strings.HasPrefix(set, setPrefix):
			teams = append(teams, set)
		}
	}
	slices.Sort(teams)
	return append(slices.Compact(teams), shared...), nil
}

package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/inventory"
	"github.com/fairway-dev/fairway/operator/steps"
)

// publish makes the cluster's ClusterProfile say what its status says, when the Fleet asks for it. It is the last of a pass,
// since it tells of the others, and no other step waits for it. It returns nil when there is none to be.
func (r *Reconciler) publish(ctx context.Context, p *pass) *steps.Step {
	if p.rest.reason == fleetv1.ReasonIDTaken { // the name is another's
		return nil
	}
	if p.fleet == nil || p.fleet.Spec.ClusterProfiles != fleetv1.ClusterProfilesPublish {
		err := r.unpublish(ctx, p.obj)
		if err == nil {
			conditions.Delete(p.obj, fleetv1.ConditionProfilePublished)
			return nil
		}
		return &steps.Step{Condition: fleetv1.ConditionProfilePublished, Outcome: notPublished(err)}
	}
	r.unpublished.forget(p.obj.UID)
	outcome := steps.Succeeded("ClusterProfile %s says what this status says", p.obj.Name)
	if err := r.writeProfile(ctx, p.obj); err != nil {
		outcome = notPublished(err)
	}
	return &steps.Step{Condition: fleetv1.ConditionProfilePublished, Outcome: outcome}
}

var (
	errNoProfiles   = errors.New("the Fleet's clusterProfiles is Publish, and the platform does not serve ClusterProfiles: install their CRD, or set it to None")
	errProfileTaken = errors.New("there is a ClusterProfile of this name that is not this cluster's: delete or rename it")
)

// notPublished asks for no retry with backoff: the cluster is well without.
func notPublished(err error) steps.Outcome {
	outcome := steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonPublishFailed, Message: err.Error(), After: steps.Jitter(watchPoll)}
	switch {
	case errors.Is(err, errNoProfiles):
		outcome.Reason = fleetv1.ReasonProfilesNotInstalled
	case errors.Is(err, errProfileTaken):
		outcome.Reason = fleetv1.ReasonProfileTaken
	}
	return outcome
}

// writeProfile applies the profile, unless one that is somebody else's has its name.
func (r *Reconciler) writeProfile(ctx context.Context, obj *fleetv1.WorkloadCluster) error {
	installed, err := inventory.Installed(r.RESTMapper())
	if err != nil {
		return err
	}
	if !installed {
		return errNoProfiles
	}
	have, err := r.profile(ctx, obj)
	switch {
	case err != nil:
		return err
	case have != nil && !inventory.OwnedBy(have, obj.UID):
		return errProfileTaken
	}
	main, status := inventory.Parts(inventory.Profile(obj))
	if err := r.Apply(ctx, client.ApplyConfigurationFromUnstructured(main), client.FieldOwner(r.FieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply ClusterProfile: %w", err)
	}
	if err := r.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(status), client.FieldOwner(r.FieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply status of ClusterProfile: %w", err)
	}
	return nil
}

// profile reads what is there of the cluster's name; nil when there is none.
func (r *Reconciler) profile(ctx context.Context, obj *fleetv1.WorkloadCluster) (*unstructured.Unstructured, error) {
	out := inventory.Name(obj.Namespace, obj.Name)
	err := r.Get(ctx, client.ObjectKeyFromObject(out), out)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get ClusterProfile: %w", err)
	}
	return out, nil
}

// unpublish takes away a profile from when the Fleet asked for one: what nobody keeps up would look healthy for ever. It looks
// once in this process's life.
func (r *Reconciler) unpublish(ctx context.Context, obj *fleetv1.WorkloadCluster) error {
	if r.unpublished.has(obj.UID) {
		return nil
	}
	installed, err := inventory.Installed(r.RESTMapper())
	if err != nil {
		return err
	}
	if installed {
		have, err := r.profile(ctx, obj)
		if err != nil {
			return err
		}
		if have != nil && inventory.OwnedBy(have, obj.UID) {
			if err := client.IgnoreNotFound(r.Delete(ctx, have)); err != nil {
				return fmt.Errorf("delete ClusterProfile: %w", err)
			}
		}
	}
	r.unpublished.add(obj.UID)
	return nil
}

// uids is a set of objects. The zero value is empty. It is safe for concurrent use.
type uids struct {
	mu   sync.Mutex
	have map[types.UID]struct{}
}

func (u *uids) has(uid types.UID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.have[uid]
	return ok
}

func (u *uids) add(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.have == nil {
		u.have = map[types.UID]struct{}{}
	}
	u.have[uid] = struct{}{}
}

func (u *uids) forget(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.have, uid)
}

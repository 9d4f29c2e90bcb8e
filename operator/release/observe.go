package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/environment"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
)

// ServiceField is the index by which Releases and ReleasePolicies of a service are found in a namespace.
const ServiceField = "spec.service"

// errNoFleet: there is no Fleet, so nobody knows where anything is.
var errNoFleet = errors.New(`there is no Fleet "default" yet; create it`)

// observe sees all that the decision needs.
func (r *Reconciler) observe(ctx context.Context, p *pass) (err error) {
	p.input = policy.Input{AdmitInput: policy.AdmitInput{Release: p.obj, Now: r.Clock.Now()}}
	if p.fleet, err = r.fleet(ctx); err != nil {
		return err
	}
	if p.snapshot, err = r.repository(ctx, p.fleet); err != nil {
		return err
	}
	if err := r.observeObjects(ctx, p); err != nil {
		return err
	}
	if p.input.Artifact, err = r.artifact(ctx, p); err != nil {
		return err
	}
	if err := r.observeClusters(ctx, p); err != nil {
		return err
	}
	if env := p.input.Environment; env != nil && env.Spec.PromotesFrom != nil {
		if p.input.Origin, err = r.origin(ctx, p, env.Spec.PromotesFrom.Environment); err != nil {
			return err
		}
	}
	p.input.Checks = r.checks.of(p.key, p.input.Artifact)
	return nil
}

// fleet reads the Fleet.
func (r *Reconciler) fleet(ctx context.Context) (*fleetv1.Fleet, error) {
	fleet := &fleetv1.Fleet{}
	err := r.Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, fleet)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("get Fleet: %w", err)
	case err != nil:
		return nil, errNoFleet
	}
	return fleet, nil
}

// observeObjects reads the environment, the team's policies for the service, and its other releases.
func (r *Reconciler) observeObjects(ctx context.Context, p *pass) error {
	env, err := r.environment(ctx, p.obj.Spec.Environment)
	if err != nil {
		return err
	}
	ofService := []client.ListOption{client.InNamespace(p.team()), client.MatchingFields{ServiceField: p.service()}}
	var policies fleetv1.ReleasePolicyList
	if err := r.List(ctx, &policies, ofService...); err != nil {
		return fmt.Errorf("list ReleasePolicies: %w", err)
	}
	var releases fleetv1.ReleaseList
	if err := r.List(ctx, &releases, ofService...); err != nil {
		return fmt.Errorf("list Releases: %w", err)
	}
	p.input.Environment, p.input.Policies = env, policies.Items
	for i := range releases.Items {
		if releases.Items[i].UID != p.obj.UID {
			p.input.Others = append(p.input.Others, releases.Items[i])
		}
	}
	return nil
}

// environment reads an Environment; nil when there is none.
func (r *Reconciler) environment(ctx context.Context, name string) (*fleetv1.Environment, error) {
	env := &fleetv1.Environment{}
	err := r.Get(ctx, client.ObjectKey{Name: name}, env)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("get Environment: %w", err)
	}
	if err != nil {
		return nil, nil
	}
	return env, nil
}

// observeClusters sees the environment's clusters, what Git tells them to run, and how the service is there.
func (r *Reconciler) observeClusters(ctx context.Context, p *pass) (err error) {
	if p.clusters, err = environment.Targets(ctx, r.Client, p.obj.Spec.Environment); err != nil {
		return err
	}
	p.input.Pointers, p.input.Rollouts = map[string]policy.Pointer{}, map[string]policy.Rollout{}
	moved := map[string]time.Time{}
	for _, target := range p.obj.Status.Targets {
		if target.MovedAt != nil {
			moved[target.Cluster] = target.MovedAt.Time
		}
		if err := r.look(p, target.Cluster, moved); err != nil { // it may have left the environment since
			return err
		}
	}
	p.input.Clusters = environment.Members(p.clusters)
	for id := range p.clusters {
		if err := r.look(p, id, moved); err != nil {
			return err
		}
	}
	if since, why := r.View.Blind(); why != nil {
		p.input.Sight = policy.Sight{Blind: why.Error(), Since: since}
	}
	return nil
}

// look sees one cluster.
func (r *Reconciler) look(p *pass, cluster string, moved map[string]time.Time) (err error) {
	if _, seen := p.input.Pointers[cluster]; seen {
		return nil
	}
	if p.input.Pointers[cluster], err = pointerOf(p.snapshot, cluster, p.team(), p.service()); err != nil {
		return err
	}
	p.input.Rollouts[cluster] = r.View.Rollout(cluster, p.team(), p.service(), p.obj.Spec.Artifact, moved[cluster])
	return nil
}

// origin sees the service in the environment that comes before.
func (r *Reconciler) origin(ctx context.Context, p *pass, name string) (policy.Origin, error) {
	env, err := r.environment(ctx, name)
	if env == nil || err != nil {
		return policy.Origin{}, err
	}
	clusters, err := environment.Targets(ctx, r.Client, name)
	if err != nil {
		return policy.Origin{}, err
	}
	out := policy.Origin{Found: true}
	for _, id := range slices.Sorted(maps.Keys(clusters)) {
		pointer, err := pointerOf(p.snapshot, id, p.team(), p.service())
		if err != nil {
			return policy.Origin{}, err
		}
		out.Clusters = append(out.Clusters, policy.OriginCluster{ID: id, Pointer: pointer,
			Rollout: r.View.Rollout(id, p.team(), p.service(), p.obj.Spec.Artifact, time.Time{})})
	}
	return out, nil
}

// pointerOf reads what the repository tells a cluster to run.
func pointerOf(repo fs.FS, cluster, team, service string) (policy.Pointer, error) {
	pointer, state, err := pointers.Read(repo, cluster, team, service)
	if err != nil {
		return policy.Pointer{}, fmt.Errorf("read pointer of %s: %w", cluster, err)
	}
	return policy.Pointer{State: states[state], Artifact: pointer.Artifact, Release: pointer.Release}, nil
}

// states are those of operator/pointers in the words of operator/policy.
var states = map[pointers.State]policy.State{
	pointers.Absent: policy.Absent, pointers.Ours: policy.Ours, pointers.Edited: policy.Edited, pointers.Foreign: policy.Foreign,
}

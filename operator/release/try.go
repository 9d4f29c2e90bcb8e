package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/clusters/preflight"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/clusters/team"
	"github.com/fairway-dev/fairway/operator/policy"
)

// connectPatience is how long a check waits for the first answer of a cluster.
const connectPatience = 10 * time.Second

// try asks clusters whether they would take the artifact, all at the same time. It waits for them only a little: those that are slow
// are waited for without the pass, which comes again when they have answered. again is true when all have.
func (r *Reconciler) try(ctx context.Context, p *pass, clusters []string) (again bool, err error) {
	files, err := r.files(ctx, p)
	if err != nil {
		problem, other := artifactProblem(err)
		if other != nil {
			return false, err
		}
		if problem.Reason != fleetv1.ReasonArtifactInvalid && problem.Reason != fleetv1.ReasonArtifactNotFound {
			return false, hindrance{fleetv1.ConditionChecked, problem.Reason, err}
		}
		r.checks.spoil(p.key, problem)
		return true, nil
	}
	digest := p.input.Artifact.Digest
	ask := r.checks.begin(p.key, digest, clusters)
	if len(ask) == 0 {
		return false, nil
	}
	c, targets := candidate{team: p.team()}, p.clusters
	c.rendered, c.problems = preflight.Render(files, p.team(), p.service(), p.obj.Spec.Artifact)
	since := unavailableSince(p.obj, r.Clock.Now())
	return r.askAll(ctx, p, ask, func(ctx context.Context, id string) {
		said := r.ask(ctx, c, targets[id])
		said.At = r.Clock.Now()
		if said.Away != "" {
			said.Since = since
		}
		r.checks.end(p.key, digest, id, said)
	}), nil
}

// askAll asks clusters, and says whether all have answered in time. Each of those that have not wakes the release when it does.
func (r *Reconciler) askAll(ctx context.Context, p *pass, clusters []string, ask func(ctx context.Context, id string)) bool {
	var asking sync.WaitGroup
	var gone atomic.Bool
	for _, id := range clusters {
		asking.Go(func() {
			ask(context.WithoutCancel(ctx), id)
			if gone.Load() {
				r.Wake(p.key)
			}
		})
	}
	done := make(chan struct{})
	go func() { asking.Wait(); close(done) }()
	patience := time.NewTimer(tryPatience)
	defer patience.Stop()
	select {
	case <-done:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	gone.Store(true)
	select {
	case <-done: // the last of them did not see that nobody waits any more
		return true
	default:
		p.after = sooner(p.after, checkTimeout) // it is woken before
		return false
	}
}

// unavailableSince is when a cluster was first found away, as far as the status tells.
func unavailableSince(obj *fleetv1.Release, now time.Time) time.Time {
	if c := conditions.Get(obj, fleetv1.ConditionChecked); c != nil && c.Reason == fleetv1.ReasonClusterUnavailable {
		return c.LastTransitionTime.Time
	}
	return now
}

// candidate is what is tried out.
type candidate struct {
	team     string
	rendered preflight.Rendered
	problems []preflight.Problem // of the artifact itself, the same for all clusters
}

// ask asks one cluster, when its turn has come.
func (r *Reconciler) ask(ctx context.Context, c candidate, wc *fleetv1.WorkloadCluster) policy.Check {
	turn, slot := time.NewTimer(turnTimeout), r.checks.slot(wc.ID())
	defer turn.Stop()
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-turn.C:
		return policy.Check{Away: "other releases are being tried out there"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	problems, err := r.dryRun(ctx, c, wc)
	if err != nil {
		return policy.Check{Away: err.Error()}
	}
	out := policy.Check{}
	for _, problem := range problems {
		out.Problems = append(out.Problems, policy.Problem{Reason: problem.Reason, Message: problem.Message, Object: problem.Object})
	}
	return out
}

// errSuspended: nothing is done on a cluster.
var errSuspended = errors.New("spec.suspend of the WorkloadCluster is true: nothing is done on the cluster")

// dryRun fills in the cluster's values as its Flux would, makes sure that the team has its place there, and has the cluster say what it
// would refuse.
func (r *Reconciler) dryRun(ctx context.Context, c candidate, wc *fleetv1.WorkloadCluster) ([]preflight.Problem, error) {
	if len(c.problems) > 0 {
		return c.problems, nil
	}
	objs, problems := c.rendered.Objects(layers.Values(wc, wc.Status.Cloud))
	if len(problems) > 0 {
		return problems, nil
	}
	if wc.Spec.Suspend {
		return nil, errSuspended
	}
	cluster, err := r.Clusters.Connect(ctx, wc, connectPatience)
	if err != nil {
		return nil, err
	}
	err = r.place(ctx, cluster, place{wc.ID(), c.team})
	switch {
	case errors.Is(err, team.ErrName), errors.Is(err, team.ErrTaken), errors.Is(err, team.ErrRoles):
		return []preflight.Problem{{Reason: fleetv1.ReasonCheckFailed, Message: err.Error()}}, nil
	case err != nil:
		return nil, fmt.Errorf("give team %s its place: %w", c.team, err)
	}
	return preflight.Check(ctx, cluster.Client, objs)
}

// place gives a team its place on a cluster, unless that was done a moment ago.
func (r *Reconciler) place(ctx context.Context, cluster *remote.Cluster, at place) error {
	if r.checks.placed(at, r.Clock.Now()) {
		return nil
	}
	if err := team.Apply(ctx, cluster.Client, at.team); err != nil {
		return err
	}
	r.checks.notePlace(at, r.Clock.Now())
	return nil
}

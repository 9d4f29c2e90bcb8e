package release

import (
	"cmp"
	"context"
	"io/fs"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/pointers"
)

// settle ends the work on a release that is over: what has happened is told, and nothing of it is remembered.
func (r *Reconciler) settle(ctx context.Context, p *pass) (ctrl.Result, error) {
	r.checks.forget(p.key)
	r.trouble.forget(p.key)
	again, err := r.tell(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if p.snapshot != nil && p.obj.Status.Phase == fleetv1.PhaseSucceeded { // it ended in this pass
		r.collect(ctx, p)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// collect removes the service's artifacts that no cluster runs and that are not among the newest. What fails is left to the next release
// of the service, which tries the same.
func (r *Reconciler) collect(ctx context.Context, p *pass) {
	most := cmp.Or(artifactsKept(p.fleet), defaultKept)
	keep := kept(append(p.input.Others, *p.obj), int(most))
	team, service := p.team(), p.service()
	garbage := func(repo fs.FS) ([]gitrepo.Edit, error) { return pointers.Garbage(repo, team, service, keep) }
	edits, err := garbage(p.snapshot)
	if err == nil && len(edits) > 0 {
		_, err = within(ctx, pushPatience, func(ctx context.Context) (string, error) {
			return r.Config.Submit(ctx, p.fleet, gitrepo.Change{Message: garbageMessage(p, most), Edit: garbage})
		})
	}
	if err != nil {
		log.FromContext(ctx).Info("cannot remove artifacts that nobody needs; the service's next release tries again", "reason", err.Error())
	}
}

// defaultKept is the API's default.
const defaultKept = 10

func artifactsKept(fleet *fleetv1.Fleet) int32 {
	if fleet.Spec.Artifacts == nil {
		return 0
	}
	return fleet.Spec.Artifacts.Keep
}

// kept are the artifacts of a service that stay: those of releases that are not over, with what they may have to go back to, and the
// newest others.
func kept(releases []fleetv1.Release, most int) []string {
	slices.SortStableFunc(releases, func(a, b fleetv1.Release) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	var out, needed []string
	for _, release := range releases {
		if !release.Status.Phase.Final() {
			needed = append(needed, release.Spec.Artifact)
			for _, target := range release.Status.Targets {
				needed = append(needed, target.Previous)
			}
		} else if release.Status.Phase != fleetv1.PhaseRefused && len(out) < most && !slices.Contains(out, release.Spec.Artifact) {
			out = append(out, release.Spec.Artifact)
		}
	}
	return append(out, needed...)
}

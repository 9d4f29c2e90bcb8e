package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
)

// The repository is fetched and written to for all releases, and goes on without the pass that asked.
const (
	fetchPatience = 5 * time.Second
	pushPatience  = 20 * time.Second
)

var (
	// errSlow: the repository has not answered while a pass waited for it.
	errSlow = errors.New("the config repository has not answered yet; it is waited for without this pass")
	// errMoved: a pointer is not what it was when the commit was decided.
	errMoved = errors.New("a pointer has been moved meanwhile; it is decided anew")
)

// repository is what the config repository has.
func (r *Reconciler) repository(ctx context.Context, fleet *fleetv1.Fleet) (*gitrepo.Snapshot, error) {
	return within(ctx, fetchPatience, func(ctx context.Context) (*gitrepo.Snapshot, error) { return r.Config.Snapshot(ctx, fleet) })
}

// within asks, and waits for the answer no longer than patience. An end of ctx itself stays what it is.
func within[T any](ctx context.Context, patience time.Duration, ask func(context.Context) (T, error)) (T, error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := ask(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		err = errSlow
	}
	return answer, err
}

// commit moves pointers, in one commit.
func (r *Reconciler) commit(ctx context.Context, p *pass, step policy.Step) error {
	contents, err := r.contents(ctx, p, step)
	if err != nil {
		return err
	}
	change := gitrepo.Change{Message: message(p, step), Edit: moving(p.obj.DeepCopy(), step, contents, p.digests())}
	p.revision, err = within(ctx, pushPatience, func(ctx context.Context) (string, error) {
		return r.Config.Submit(ctx, p.fleet, change)
	})
	switch {
	case errors.Is(err, errMoved):
		r.trouble.forget(p.key)
		return nil // the next round sees what is there now
	case err != nil:
		return hindrance{fleetv1.ConditionCommitted, commitReason(err), err}
	}
	r.trouble.forget(p.key)
	return nil
}

// contents are the files of the artifacts that pointers are moved to, by artifact; nil of those that the repository has.
func (r *Reconciler) contents(ctx context.Context, p *pass, step policy.Step) (map[string]artifact.Files, error) {
	out := map[string]artifact.Files{}
	for _, move := range step.Moves {
		id := move.Artifact
		if _, done := out[id]; done || id == "" || p.stored(id) {
			continue
		}
		files, err := r.pull(ctx, p, id)
		if err != nil {
			if problem, other := artifactProblem(err); other == nil {
				err = hindrance{fleetv1.ConditionCommitted, problem.Reason, err}
			}
			return nil, err
		}
		out[id] = files
	}
	return out, nil
}

// moving is the edit of a step. It is asked again each time the branch has moved, and refuses what is no longer as it was decided on.
func moving(obj *fleetv1.Release, step policy.Step, contents map[string]artifact.Files, digests map[string]string) func(fs.FS) ([]gitrepo.Edit, error) {
	return func(repo fs.FS) ([]gitrepo.Edit, error) {
		byArtifact := map[string][]string{}
		for _, move := range step.Moves {
			have, err := pointerOf(repo, move.Cluster, obj.Namespace, obj.Spec.Service)
			if err != nil {
				return nil, err
			}
			if have != move.From {
				return nil, fmt.Errorf("%w: that of %s", errMoved, move.Cluster)
			}
			byArtifact[move.Artifact] = append(byArtifact[move.Artifact], move.Cluster)
		}
		var out []gitrepo.Edit
		for _, id := range slices.Sorted(maps.Keys(byArtifact)) {
			edits, err := pointing(repo, pointers.Move{
				Team: obj.Namespace, Service: obj.Spec.Service, Artifact: id, Release: nameOf(obj), Digest: digests[id],
				Clusters: byArtifact[id], Files: contents[id],
			})
			if errors.Is(err, pointers.ErrNoFiles) { // it was there a moment ago
				err = fmt.Errorf("%w: %w", errMoved, err)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, edits...)
		}
		return out, nil
	}
}

// pointing are the edits of a move; with no artifact, pointers are removed.
func pointing(repo fs.FS, move pointers.Move) ([]gitrepo.Edit, error) {
	if move.Artifact == "" {
		return pointers.Remove(repo, move.Team, move.Service, move.Clusters, false)
	}
	return pointers.Edits(repo, move)
}

// digests are those of artifacts of the service that the releases know of.
func (p *pass) digests() map[string]string {
	out := map[string]string{}
	for i := range p.input.Others {
		if other := &p.input.Others[i]; other.Status.Digest != "" {
			out[other.Spec.Artifact] = other.Status.Digest
		}
	}
	out[p.obj.Spec.Artifact] = p.input.Artifact.Digest
	return out
}

// nameOf is how a pointer names a release.
func nameOf(obj *fleetv1.Release) string { return obj.Namespace + "/" + obj.Name }

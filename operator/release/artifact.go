package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/registry"
)

// artifact says what is known of the artifact: by the release's own status, by another release of it whose files are in the
// repository, so that a rollback needs no registry, or by the registry.
func (r *Reconciler) artifact(ctx context.Context, p *pass) (policy.Artifact, error) {
	id := p.obj.Spec.Artifact
	out := policy.Artifact{ID: id, Digest: p.obj.Status.Digest, Source: p.obj.Status.Source}
	if problem := r.checks.problem(p.key); problem != nil {
		out.Problem = problem
		return out, nil
	}
	if out.Digest != "" {
		return out, nil
	}
	if p.stored(id) {
		for _, other := range p.input.Others {
			if other.Spec.Artifact == id && other.Status.Digest != "" {
				out.Digest, out.Source = other.Status.Digest, other.Status.Source
				return out, nil
			}
		}
	}
	found, err := r.Artifacts.Resolve(ctx, p.fleet, p.team(), p.service(), id)
	if err != nil {
		out.Problem, err = artifactProblem(err)
		return out, err
	}
	out.Digest, out.Source = found.Digest, found.Metadata
	return out, nil
}

// artifactProblem is what an error of the registry comes to. One that says nothing of the artifact stays an error.
func artifactProblem(err error) (*policy.Problem, error) {
	var reason string
	switch {
	case errors.Is(err, registry.ErrNone):
		reason = fleetv1.ReasonNoArtifactStore
	case errors.Is(err, artifact.ErrNotFound):
		reason = fleetv1.ReasonArtifactNotFound
	case errors.Is(err, artifact.ErrInvalid), errors.Is(err, artifact.ErrTooLarge):
		reason = fleetv1.ReasonArtifactInvalid
	case errors.Is(err, artifact.ErrUnreachable), errors.Is(err, artifact.ErrUnauthorized), errors.Is(err, registry.ErrNoSecret):
		reason = fleetv1.ReasonArtifactsAway
	default:
		return nil, err
	}
	return &policy.Problem{Reason: reason, Message: err.Error()}, nil
}

// folder is where the repository has the files of one of the service's artifacts.
func (p *pass) folder(id string) string { return pointers.ArtifactFolder(p.team(), p.service(), id) }

// stored says whether the repository has the files of an artifact.
func (p *pass) stored(id string) bool {
	info, err := fs.Stat(p.snapshot, p.folder(id))
	return err == nil && info.IsDir()
}

// files are the artifact's: those of the repository, where they never change, or those of the registry.
func (r *Reconciler) files(ctx context.Context, p *pass) (artifact.Files, error) {
	if id := p.obj.Spec.Artifact; p.stored(id) {
		return filesOf(p.snapshot, p.folder(id))
	}
	return r.pull(ctx, p, p.obj.Spec.Artifact)
}

// pull gets the files of one of the service's artifacts. Those of the release's own are kept until it is over.
func (r *Reconciler) pull(ctx context.Context, p *pass, id string) (artifact.Files, error) {
	own := id == p.obj.Spec.Artifact
	if files := r.checks.filesOf(p.key); own && files != nil {
		return files, nil
	}
	found, err := r.Artifacts.Resolve(ctx, p.fleet, p.team(), p.service(), id)
	if err != nil {
		return nil, err
	}
	if want := p.input.Artifact.Digest; own && found.Digest != want {
		return nil, fmt.Errorf("%w: artifact %s was %s when the release began, and is %s", artifact.ErrInvalid, id, want, found.Digest)
	}
	files, err := r.Artifacts.Pull(ctx, p.fleet, p.team(), p.service(), found)
	if err == nil && own {
		r.checks.keepFiles(p.key, files)
	}
	return files, err
}

// filesOf reads a folder, by the paths in it.
func filesOf(repo fs.FS, folder string) (artifact.Files, error) {
	out := artifact.Files{}
	err := fs.WalkDir(repo, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(repo, name)
		out[strings.TrimPrefix(name, folder+"/")] = content
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read artifact %s of the repository: %w", path.Base(folder), err)
	}
	return out, nil
}

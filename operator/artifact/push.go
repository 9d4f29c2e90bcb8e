package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/fairway-dev/fairway/clusters/oci"
)

// Pushed is what came of a push.
type Pushed struct {
	Artifact
	New   bool // false: it was there already, and is as it was
	Files int
	Size  int64 // bytes of all files
}

// Push stores files as an artifact of a service. The metadata needs a branch, a commit with all of its digits, and when it was
// made. Pushing the same files of the same branch and commit again changes nothing, whatever else the metadata says; its
// result is what is there. Errors wrap those of this package; ErrTaken is an id that is something else already.
func (s *Store) Push(ctx context.Context, team, service string, files fs.FS, meta Metadata) (Pushed, error) {
	op := fmt.Sprintf("push an artifact of %s/%s", team, service)
	meta = normal(meta)
	if err := check(meta); err != nil {
		return Pushed{}, fmt.Errorf("%s: %w", op, err)
	}
	repository, err := s.open(team, service)
	if err != nil {
		return Pushed{}, fmt.Errorf("%s: %w", op, err)
	}
	content, err := Read(files)
	if err != nil {
		return Pushed{}, fmt.Errorf("%s: %w", op, err)
	}
	layer, sum, err := pack(content)
	if err != nil {
		return Pushed{}, fmt.Errorf("%s: %w", op, err)
	}
	want := Pushed{Artifact: Artifact{ID: id(meta, sum), Content: sum, Metadata: meta}, Files: len(content), Size: content.size()}
	// With one token for both, a registry says of a repository that is not there yet that it is not there.
	ctx = auth.AppendRepositoryScope(ctx, repository.Reference, auth.ActionPull, auth.ActionPush)
	if want.Artifact, want.New, err = store(ctx, repository, team, service, layer, want.Artifact); err != nil {
		return Pushed{}, fmt.Errorf("push artifact %s of %s/%s to %s: %w", id(meta, sum), team, service, s.url, err)
	}
	return want, nil
}

// store writes an artifact, unless it is there. A registry has no way to write a tag only if nobody else does: of two who
// push other content with the same id at the same moment, the last one stays, and the first one's digest cannot be released
// by that id.
func store(ctx context.Context, repository *remote.Repository, team, service string, layer []byte, want Artifact) (Artifact, bool, error) {
	have, err := read(ctx, repository, team, service, want.ID)
	switch {
	case errors.Is(err, ErrInvalid):
		return Artifact{}, false, fmt.Errorf("%w: %w", ErrTaken, err)
	case err == nil && (have.Content != want.Content || have.Branch != want.Branch || have.Commit != want.Commit):
		return Artifact{}, false, fmt.Errorf("%w: branch %s, commit %s, content %s", ErrTaken, have.Branch, have.Commit, have.Content)
	case err == nil:
		return have, false, nil
	case !errors.Is(err, ErrNotFound):
		return Artifact{}, false, err
	}
	want.Digest, err = write(ctx, repository, want.ID, layer, annotations(team, service, want))
	return want, true, oci.Sort(err)
}

// write uploads the parts of an artifact, and last its tag.
func write(ctx context.Context, repository *remote.Repository, tag string, layer []byte, said map[string]string) (string, error) {
	config, err := oras.PushBytes(ctx, repository, configType, []byte("{}"))
	if err != nil {
		return "", err
	}
	files, err := oras.PushBytes(ctx, repository, layerType, layer)
	if err != nil {
		return "", err
	}
	manifest, err := oras.PackManifest(ctx, repository, oras.PackManifestVersion1_1, "", oras.PackManifestOptions{
		ConfigDescriptor: &config, Layers: []ocispec.Descriptor{files}, ManifestAnnotations: said,
	})
	if err != nil {
		return "", err
	}
	return manifest.Digest.String(), repository.Tag(ctx, manifest, tag)
}

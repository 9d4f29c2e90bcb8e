package artifact

import (
	"context"
	"fmt"

	"github.com/fairway-dev/fairway/clusters/oci"
)

// Pull reads the files of an artifact that Resolve or List found, by its digest. Errors wrap those of this package; ErrInvalid
// is one that is not what it says, or that is no artifact that could be released.
func (s *Store) Pull(ctx context.Context, team, service string, a Artifact) (Files, error) {
	ctx, cancel := context.WithTimeout(ctx, oci.Timeout)
	defer cancel()
	files, err := s.pull(ctx, team, service, a)
	if err != nil {
		return nil, fmt.Errorf("pull artifact %s of %s/%s from %s: %w", a.ID, team, service, s.url, err)
	}
	return files, nil
}

func (s *Store) pull(ctx context.Context, team, service string, a Artifact) (Files, error) {
	repository, err := s.open(team, service)
	if err != nil {
		return nil, err
	}
	if !sumPattern.MatchString(a.Digest) {
		return nil, fmt.Errorf("%w: digest %q", ErrInvalid, a.Digest)
	}
	manifest, digest, err := oci.Manifest(ctx, repository, a.Digest)
	if err != nil {
		return nil, err
	}
	said, err := describe(team, service, digest, manifest)
	if err != nil {
		return nil, err
	}
	if said.ID != a.ID {
		return nil, fmt.Errorf("%w: what it says of itself makes it %s", ErrInvalid, said.ID)
	}
	layer, err := oci.Layer(ctx, repository, manifest, layerType, maxLayer)
	if err != nil {
		return nil, err
	}
	files, content, err := unpack(layer)
	if err != nil {
		return nil, err
	}
	if content != said.Content {
		return nil, fmt.Errorf("%w: its content is %s, and it says %s", ErrInvalid, content, said.Content)
	}
	return files, nil
}

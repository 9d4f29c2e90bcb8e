package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// Bounds of what is read from a registry.
const (
	maxManifest = 1 << 20
	maxTags     = 10_000
)

// Tags are the tags of a repository, as the registry sorts them; at most 10,000.
func Tags(ctx context.Context, repository *remote.Repository) ([]string, error) {
	var all []string
	err := repository.Tags(ctx, "", func(page []string) error {
		if all = append(all, page...); len(all) > maxTags {
			return fmt.Errorf("%w: it has more than %d tags", ErrTooLarge, maxTags)
		}
		return nil
	})
	return all, Sort(err)
}

// Manifest reads the manifest of a tag or digest, at most 1 MiB, and its digest.
func Manifest(ctx context.Context, repository *remote.Repository, reference string) (ocispec.Manifest, string, error) {
	var manifest ocispec.Manifest
	descriptor, body, err := repository.FetchReference(ctx, reference)
	if err != nil {
		return manifest, "", Sort(err)
	}
	raw, err := read(body, descriptor, maxManifest)
	if err != nil {
		return manifest, "", err
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return manifest, "", fmt.Errorf("%w: parse its manifest: %w", ErrInvalid, err)
	}
	return manifest, descriptor.Digest.String(), nil
}

// Layer reads the only layer of a manifest that has the media type. Of one that says that it is larger than the limit, in
// bytes, nothing is read; one that is not as large as it says is an error, too.
func Layer(ctx context.Context, repository *remote.Repository, manifest ocispec.Manifest, mediaType string, limit int64) ([]byte, error) {
	var found []ocispec.Descriptor
	for _, layer := range manifest.Layers {
		if layer.MediaType == mediaType {
			found = append(found, layer)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: it has %d layers of type %s, not one", ErrInvalid, len(found), mediaType)
	}
	if found[0].Size > limit {
		return nil, tooLarge(found[0], limit)
	}
	body, err := repository.Fetch(ctx, found[0])
	if err != nil {
		return nil, Sort(err)
	}
	return read(body, found[0], limit)
}

// read reads a body with the size and the digest that it says. oras checks both.
func read(body io.ReadCloser, d ocispec.Descriptor, limit int64) ([]byte, error) {
	defer body.Close()
	if d.Size > limit {
		return nil, tooLarge(d, limit)
	}
	out, err := content.ReadAll(body, d)
	return out, Sort(err)
}

func tooLarge(d ocispec.Descriptor, limit int64) error {
	return fmt.Errorf("%w: %s has %d bytes, more than %d", ErrTooLarge, d.Digest, d.Size, limit)
}

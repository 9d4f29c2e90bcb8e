package flux

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/fairway-dev/fairway/clusters/oci"
)

// layerType is the media type that Flux's own tools push manifests with.
const layerType = "application/vnd.cncf.flux.content.v1.tar+gzip"

// Bounds of one artifact. Flux's own is about 0.1 MiB packed and 0.5 MiB unpacked.
const (
	maxLayer    = 16 << 20
	maxUnpacked = 64 << 20
	maxFiles    = 1000
)

// pull fetches the objects of an artifact's digest.
func pull(ctx context.Context, artifact, digest string) ([]*unstructured.Unstructured, error) {
	repository, err := open(artifact)
	if err != nil {
		return nil, err
	}
	layer, err := fetchLayer(ctx, repository, digest)
	if err != nil {
		return nil, explain(artifact, "pull "+digest, err)
	}
	objs, err := unpack(layer)
	if err != nil {
		return nil, fmt.Errorf("read %s@%s: %w", artifact, digest, err)
	}
	return objs, nil
}

// fetchLayer reads the manifests' layer.
func fetchLayer(ctx context.Context, repository *remote.Repository, digest string) ([]byte, error) {
	manifest, _, err := oci.Manifest(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	return oci.Layer(ctx, repository, manifest, layerType, maxLayer)
}

// unpack reads every YAML file of a packed folder, in the order of their names. Nothing is written
// anywhere; an archive that would write outside its folder is refused all the same, since it is no
// distribution.
func unpack(layer []byte) ([]*unstructured.Unstructured, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, fmt.Errorf("%w: unzip: %w", ErrArtifactInvalid, err)
	}
	files, err := readFiles(tar.NewReader(&io.LimitedReader{R: unzipped, N: maxUnpacked + 1}))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var objs []*unstructured.Unstructured
	for _, f := range files {
		found, err := ssautil.ReadObjects(bytes.NewReader(f.data))
		if err != nil {
			return nil, fmt.Errorf("%w: parse %s: %w", ErrArtifactInvalid, f.name, err)
		}
		objs = append(objs, found...)
	}
	if len(objs) == 0 {
		return nil, fmt.Errorf("%w: it holds no objects", ErrArtifactInvalid)
	}
	return objs, nil
}

type file struct {
	name string
	data []byte
}

func readFiles(archive *tar.Reader) ([]file, error) {
	var files []file
	total := 0
	for entries := 0; ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: unpack (at most %d bytes): %w", ErrArtifactInvalid, maxUnpacked, err)
		}
		if entries == maxFiles {
			return nil, fmt.Errorf("%w: it holds more than %d files", ErrArtifactInvalid, maxFiles)
		}
		name := path.Clean(header.Name)
		if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
			return nil, fmt.Errorf("%w: it holds the path %q", ErrArtifactInvalid, header.Name)
		}
		if header.Typeflag != tar.TypeReg || !isYAML(name) {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("%w: unpack %s: %w", ErrArtifactInvalid, name, err)
		}
		if total += len(data); total > maxUnpacked {
			return nil, fmt.Errorf("%w: it holds more than %d bytes", ErrArtifactInvalid, maxUnpacked)
		}
		files = append(files, file{name, data})
	}
}

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// explain says what mends a registry's error.
func explain(artifact, action string, err error) error {
	err = oci.Sort(err)
	switch {
	case errors.Is(err, oci.ErrNotFound):
		return fmt.Errorf("%w: %s of %s: check the address; a mirror must hold it: %w", ErrArtifactNotFound, action, artifact, err)
	case errors.Is(err, oci.ErrUnauthorized):
		return fmt.Errorf("%w: %s of %s: it is not there, or must be readable without credentials: %w", ErrArtifactUnauthorized, action, artifact, err)
	case errors.Is(err, oci.ErrUnreachable):
		return fmt.Errorf("%w: %s of %s: %w", ErrRegistryUnreachable, action, artifact, err)
	case errors.Is(err, oci.ErrTooLarge), errors.Is(err, oci.ErrInvalid):
		return fmt.Errorf("%w: %s of %s: %w", ErrArtifactInvalid, action, artifact, err)
	default:
		return fmt.Errorf("%s of %s: %w", action, artifact, err)
	}
}

package flux

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// layerType is the media type that Flux's own tools push manifests with.
const layerType = "application/vnd.cncf.flux.content.v1.tar+gzip"

// Bounds of one artifact. Flux's own is about 0.1 MiB packed and 0.5 MiB unpacked.
const (
	maxManifest = 1 << 20
	maxLayer    = 16 << 20
	maxUnpacked = 64 << 20
	maxFiles    = 1000
)

func newClient() *auth.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 20 * time.Second
	return &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(transport), Timeout: pullTimeout},
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {"fairway"}},
	}
}

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

// fetchLayer reads the manifests' layer. oras checks sizes and digests while it reads.
func fetchLayer(ctx context.Context, repository *remote.Repository, digest string) ([]byte, error) {
	descriptor, body, err := repository.FetchReference(ctx, digest)
	if err != nil {
		return nil, err
	}
	raw, err := readBounded(body, descriptor, maxManifest)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, fmt.Errorf("%w: parse its manifest: %w", ErrArtifactInvalid, err)
	}
	at := slices.IndexFunc(manifest.Layers, func(l ocispec.Descriptor) bool { return l.MediaType == layerType })
	if at < 0 {
		return nil, fmt.Errorf("%w: it has no layer of type %s", ErrArtifactInvalid, layerType)
	}
	layer := manifest.Layers[at]
	if body, err = repository.Fetch(ctx, layer); err != nil {
		return nil, err
	}
	return readBounded(body, layer, maxLayer)
}

func readBounded(body io.ReadCloser, d ocispec.Descriptor, limit int64) ([]byte, error) {
	defer body.Close()
	if d.Size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d", ErrArtifactInvalid, d.Digest, d.Size, limit)
	}
	return content.ReadAll(body, d)
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

// explain sorts a registry's error by what mends it.
func explain(artifact, action string, err error) error {
	var response *errcode.ErrorResponse
	switch {
	case errors.Is(err, ErrArtifact):
		return fmt.Errorf("%s of %s: %w", action, artifact, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s of %s: %w", action, artifact, err)
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("%w: %s of %s: check the address; a mirror must hold it: %w", ErrArtifactNotFound, action, artifact, err)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return unauthorized(artifact, action, err)
	case !errors.As(err, &response):
		return fmt.Errorf("%w: %s of %s: %w", ErrRegistryUnreachable, action, artifact, err)
	}
	switch response.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s of %s: check the address; a mirror must hold it: %w", ErrArtifactNotFound, action, artifact, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return unauthorized(artifact, action, err)
	default:
		return fmt.Errorf("%w: %s of %s: %w", ErrRegistryUnreachable, action, artifact, err)
	}
}

func unauthorized(artifact, action string, err error) error {
	return fmt.Errorf("%w: %s of %s: it is not there, or must be readable without credentials: %w",
		ErrArtifactUnauthorized, action, artifact, err)
}

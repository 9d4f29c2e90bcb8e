// Package registry is an OCI registry on 127.0.0.1, over plain HTTP, with its blobs on disk.
package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of a Flux OCI artifact, as `flux push artifact` makes it.
const (
	configType = "application/vnd.cncf.flux.config.v1+json"
	layerType  = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// Registry serves OCI artifacts. Manifests live in memory: a run's registry is filled when it starts.
type Registry struct {
	address string
	http    *http.Server
}

// Start serves a registry on a free port until Close, with its blobs in dir.
func Start(ctx context.Context, dir string, log io.Writer) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of blobs: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for registry: %w", err)
	}
	logger := slog.NewLogLogger(slog.NewTextHandler(log, nil), slog.LevelInfo)
	handler := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.Logger(logger))
	r := &Registry{
		address: listener.Addr().String(),
		http:    &http.Server{Handler: handler, ErrorLog: logger, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		if err := r.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Printf("serve registry: %v", err)
		}
	}()
	return r, nil
}

// Address is where the registry listens, host:port.
func (r *Registry) Address() string { return r.address }

// Close ends the registry and every request.
func (r *Registry) Close() error { return r.http.Close() }

// Artifact is what was pushed.
type Artifact struct {
	URL    string // oci://127.0.0.1:port/<repository>
	Tag    string
	Digest string // sha256:…
}

// PushFlux pushes files as a Flux OCI artifact: one layer, a gzipped tar with the files at its root.
// The same files give the same digest.
func (r *Registry) PushFlux(ctx context.Context, repository, tag string, files map[string][]byte) (Artifact, error) {
	ref, err := name.NewTag(r.address+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		return Artifact{}, fmt.Errorf("push artifact: %w", err)
	}
	image, err := fluxImage(files)
	if err != nil {
		return Artifact{}, fmt.Errorf("make artifact %s: %w", ref, err)
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return Artifact{}, fmt.Errorf("push artifact %s: %w", ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return Artifact{}, fmt.Errorf("digest artifact %s: %w", ref, err)
	}
	return Artifact{URL: "oci://" + r.address + "/" + repository, Tag: tag, Digest: digest.String()}, nil
}

func fluxImage(files map[string][]byte) (v1.Image, error) {
	layer, err := archive(files)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configType)
	return mutate.AppendLayers(image, static.NewLayer(layer, layerType))
}

// archive makes the layer: nothing in it depends on the time or the machine.
func archive(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	writer := tar.NewWriter(compressed)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: path, Mode: 0o644, Size: int64(len(files[path])), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
		if _, err := writer.Write(files[path]); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
	}
	if err := errors.Join(writer.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("close archive: %w", err)
	}
	return out.Bytes(), nil
}

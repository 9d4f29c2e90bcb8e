package flux

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

// distribution is the distribution that tests install.
func distribution(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/gotk-components.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ociRegistry is a real registry on loopback.
type ociRegistry struct{ *ocitest.Registry }

func newRegistry(t *testing.T) ociRegistry { return ociRegistry{ocitest.Start(t)} }

// push publishes a layer under tags, as flux push artifact does.
func (r ociRegistry) push(t *testing.T, path, mediaType string, layer []byte, tags ...string) {
	t.Helper()
	repository, err := remote.NewRepository(r.Host() + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	pushed, err := oras.PushBytes(t.Context(), repository, mediaType, layer)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), repository, oras.PackManifestVersion1_1,
		"application/vnd.cncf.flux.config.v1+json", oras.PackManifestOptions{Layers: []ocispec.Descriptor{pushed}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := repository.Tag(t.Context(), manifest, tag); err != nil {
			t.Fatal(err)
		}
	}
}

// pack makes a layer of files.
func pack(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, h := range headers {
		body := h.PAXRecords["FAIRWAY.body"]
		h.PAXRecords, h.Size, h.Mode = nil, int64(len(body)), 0o644
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entryFor is a regular file of an archive.
func entryFor(name, body string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"FAIRWAY.body": body}}
}

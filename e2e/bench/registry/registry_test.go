package registry_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/fairway-dev/fairway/e2e/bench/registry"
)

func start(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Start(t.Context(), t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func push(t *testing.T, r *registry.Registry, tag, content string) registry.Artifact {
	t.Helper()
	artifact, err := r.PushFlux(t.Context(), "fluxcd/flux-manifests", tag, map[string][]byte{"gotk-components.yaml": []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}

func TestAFluxArtifactIsWhatFluxPushes(t *testing.T) {
	artifact := push(t, start(t), "v2.9.5", "kind: Namespace\n")
	ref, err := name.ParseReference(strings.TrimPrefix(artifact.URL, "oci://")+"@"+artifact.Digest, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	types := []string{string(manifest.Config.MediaType)}
	for _, layer := range manifest.Layers {
		types = append(types, string(layer.MediaType))
	}
	want := []string{"application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("media types (-want +got):\n%s", diff)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(content)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unzipped)
	header, err := archive.Next()
	if err != nil || header.Name != "gotk-components.yaml" {
		t.Fatalf("first file: %v, %v", header, err)
	}
	if data, err := io.ReadAll(archive); string(data) != "kind: Namespace\n" || err != nil {
		t.Errorf("content: %q, %v", data, err)
	}
}

func TestTheSameFilesGiveTheSameDigest(t *testing.T) {
	one, two := push(t, start(t), "v1", "a"), push(t, start(t), "v2", "a")
	if one.Digest != two.Digest {
		t.Errorf("%s and %s", one.Digest, two.Digest)
	}
	if other := push(t, start(t), "v1", "b"); other.Digest == one.Digest {
		t.Error("other files give the same digest")
	}
}

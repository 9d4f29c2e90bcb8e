package flux

import (
	"archive/tar"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

func TestResolveFindsTheNewestVersionInRange(t *testing.T) {
	r := newRegistry(t)
	layer := pack(t, entryFor("gotk-components.yaml", distribution(t)))
	r.push(t, "flux-manifests", layerType, layer, "v2.9.5", "v2.9.10", "v2.9.4", "v2.10.0", "v2.11.0-rc.1", "v2.8.1", "latest", "2", "sha-4f1c9d2")
	r.push(t, "untagged", layerType, layer, "latest", "main")
	for _, c := range []struct {
		name, path, versions, tag string
		err                       error
		says                      string
	}{
		{name: "by number, not by letter", path: "flux-manifests", versions: "2.9.x", tag: "v2.9.10"},
		{name: "an exact version", path: "flux-manifests", versions: "v2.9.4", tag: "v2.9.4"},
		{name: "two bounds", path: "flux-manifests", versions: ">=2.8 <2.9", tag: "v2.8.1"},
		{name: "no pre-release unless asked", path: "flux-manifests", versions: ">=2.8", tag: "v2.10.0"},
		{name: "a pre-release when asked", path: "flux-manifests", versions: ">=2.11.0-0", tag: "v2.11.0-rc.1"},
		{name: "everything", path: "flux-manifests", versions: "*", tag: "v2.10.0"},
		{name: "none in range says which there are", path: "flux-manifests", versions: "3.x", err: ErrVersionNotFound, says: "v2.11.0-rc.1, v2.10.0, v2.9.10"},
		{name: "no versions at all", path: "untagged", versions: "2.x", err: ErrVersionNotFound, says: "no versions at all"},
		{name: "a range that is none", path: "flux-manifests", versions: "two", err: ErrRange, says: `"two"`},
		{name: "a repository that is not there", path: "flux-manifest", versions: "2.x", err: ErrArtifactNotFound, says: "check the address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := NewCatalog().Resolve(t.Context(), r.URL(c.path), c.versions)
			if !errors.Is(err, c.err) || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Fatalf("error %v, want %v that says %q", err, c.err, c.says)
			}
			if diff := cmp.Diff(c.tag, v.Tag); diff != "" {
				t.Errorf("tag (-want +got):\n%s", diff)
			}
			if err == nil && !strings.HasPrefix(v.Digest, "sha256:") {
				t.Errorf("digest %q", v.Digest)
			}
		})
	}
}

func TestErrorsOfARegistrySayWhatMendsThem(t *testing.T) {
	refusing := func(status int) string { return ocitest.Refusing(t, status).URL("flux-manifests") }
	for _, c := range []struct {
		name, artifact string
		err            error
	}{
		{"nobody answers", ocitest.Dead(t).URL("flux-manifests"), ErrRegistryUnreachable},
		{"a login is wanted", refusing(http.StatusUnauthorized), ErrArtifactUnauthorized},
		{"it is forbidden", refusing(http.StatusForbidden), ErrArtifactUnauthorized},
		{"it is not there", refusing(http.StatusNotFound), ErrArtifactNotFound},
		{"the registry is broken", refusing(http.StatusNotImplemented), ErrRegistryUnreachable},
		{"it is no OCI address", "https://ghcr.io/fluxcd/flux-manifests", ErrArtifactInvalid},
		{"it is no address at all", "oci://", ErrArtifactInvalid},
		{"it names a tag", "oci://127.0.0.1:1/flux-manifests:v2.9.5", ErrArtifactInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewCatalog().Resolve(t.Context(), c.artifact, "2.x")
			if !errors.Is(err, c.err) || !errors.Is(err, ErrArtifact) || !strings.Contains(err.Error(), c.artifact) {
				t.Errorf("error %v, want %v that names %s", err, c.err, c.artifact)
			}
		})
	}
}

func TestManifestsAreKeptByDigest(t *testing.T) {
	r := newRegistry(t)
	artifact := r.URL("flux-manifests")
	r.push(t, "flux-manifests", layerType, pack(t, entryFor("flux-system/gotk-components.yaml", distribution(t)),
		entryFor("flux-system/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-components.yaml]\n"),
		entryFor("README.md", "# not YAML: [")), "v2.9.5")
	catalog := NewCatalog()
	v, err := catalog.Resolve(t.Context(), artifact, "2.9.x")
	if err != nil {
		t.Fatal(err)
	}
	first, err := catalog.Manifests(t.Context(), artifact, v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	first[0].SetName("spoiled by its caller")
	r.Close() // from here on nothing can be pulled
	second, err := catalog.Manifests(t.Context(), artifact, v, Options{})
	if err != nil {
		t.Fatalf("from memory: %v", err)
	}
	if len(second) != len(first) || second[0].GetName() != "flux-system" {
		t.Errorf("%d objects from memory, the first called %q; want %d and flux-system", len(second), second[0].GetName(), len(first))
	}
	if slices.ContainsFunc(second, func(o *unstructured.Unstructured) bool {
		return strings.HasPrefix(o.GetAPIVersion(), "kustomize.config")
	}) {
		t.Error("kustomize's own file was taken for an object")
	}
	if _, err := catalog.Manifests(t.Context(), artifact, Version{Tag: "v2.9.6", Digest: "sha256:" + strings.Repeat("0", 64)}, Options{}); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("another digest: %v, want ErrRegistryUnreachable", err)
	}
}

func TestTheCatalogForgetsWhatWasLongestUnused(t *testing.T) {
	c := NewCatalog()
	for i := range maxCached {
		c.keep(string(rune('a'+i)), nil)
	}
	c.cached("a")
	c.keep("new", nil)
	if _, ok := c.cached("a"); !ok {
		t.Error("what was used last is gone")
	}
	if _, ok := c.cached("b"); ok {
		t.Error("what was longest unused is still there")
	}
	if len(c.byID) != maxCached || len(c.recent) != maxCached {
		t.Errorf("%d kept, %d remembered, want %d", len(c.byID), len(c.recent), maxCached)
	}
}

func TestAPullEndsWithItsCaller(t *testing.T) {
	r := newRegistry(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := NewCatalog().Manifests(ctx, r.URL("flux-manifests"), Version{Digest: "sha256:" + strings.Repeat("0", 64)}, Options{})
	if err == nil {
		t.Error("no error")
	}
}

func TestArtifactsThatAreNoDistributionAreRefused(t *testing.T) {
	r := newRegistry(t)
	good := entryFor("a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")
	many := make([]tar.Header, maxFiles+1)
	for i := range many {
		many[i] = good
	}
	for i, c := range []struct {
		name, mediaType string
		layer           []byte
	}{
		{"another media type", "application/vnd.oci.image.layer.v1.tar+gzip", pack(t, good)},
		{"a layer that is not packed", layerType, []byte("kind: Namespace")},
		{"no objects", layerType, pack(t, entryFor("README.md", "hello"))},
		{"YAML that is none", layerType, pack(t, entryFor("a.yaml", "kind: [unclosed"))},
		{"a path that leaves its folder", layerType, pack(t, entryFor("../a.yaml", "kind: x"))},
		{"a path that leaves it halfway", layerType, pack(t, entryFor("x/../../a.yaml", "kind: x"))},
		{"an absolute path", layerType, pack(t, entryFor("/etc/a.yaml", "kind: x"))},
		{"too many files", layerType, pack(t, many...)},
		{"more than it may unpack to", layerType, pack(t, entryFor("a.yaml", strings.Repeat("#", maxUnpacked+1)))},
		{"only links", layerType, pack(t, tar.Header{Name: "a.yaml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "bad" + string(rune('a'+i))
			r.push(t, path, c.mediaType, c.layer, "v1.0.0")
			catalog := NewCatalog()
			v, err := catalog.Resolve(t.Context(), r.URL(path), "*")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := catalog.Manifests(t.Context(), r.URL(path), v, Options{}); !errors.Is(err, ErrArtifactInvalid) {
				t.Errorf("error %v, want ErrArtifactInvalid", err)
			}
		})
	}
}

func TestALayerThatIsTooLargeIsNotPulled(t *testing.T) {
	r := newRegistry(t)
	r.push(t, "large", layerType, make([]byte, maxLayer+1), "v1.0.0")
	catalog := NewCatalog()
	v, err := catalog.Resolve(t.Context(), r.URL("large"), "*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Manifests(t.Context(), r.URL("large"), v, Options{}); !errors.Is(err, ErrArtifactInvalid) {
		t.Errorf("error %v, want ErrArtifactInvalid", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, layer []byte) {
		objs, err := unpack(layer)
		if err == nil && len(objs) == 0 {
			t.Error("no objects and no error")
		}
	})
}

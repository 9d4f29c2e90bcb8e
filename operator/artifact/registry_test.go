package artifact

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"

	"github.com/fairway-dev/fairway/clusters/oci"
	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

const commit = "4f1c9d2aab7e0b5b6c1d2e3f405162738495a6b7"

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger}
spec:
  replicas: 2
`

// of is metadata of a branch.
func of(branch string) Metadata {
	return Metadata{
		Repository: "https://git.example.com/payments/ledger", Branch: branch, Commit: commit,
		Author: "Ada Example <ada@example.com>", CI: "https://ci.example.com/runs/17",
		Created: &metav1.Time{Time: time.Date(2026, 11, 22, 8, 17, 0, 0, time.UTC)},
	}
}

// at is metadata of branch main, made some minutes after the others.
func at(minutes int) Metadata {
	m := of("main")
	m.Created = &metav1.Time{Time: m.Created.Add(time.Duration(minutes) * time.Minute)}
	return m
}

// folder is files as a folder.
func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o600, ModTime: time.Unix(int64(len(name)), 0)}
	}
	return out
}

func newStore(t *testing.T, url string, who Auth) *Store {
	t.Helper()
	s, err := New(url, who)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start is a store in an empty registry.
func start(t *testing.T) (*Store, *ocitest.Registry) {
	t.Helper()
	r := ocitest.Start(t)
	return newStore(t, r.URL("artifacts"), Auth{}), r
}

func push(t *testing.T, s *Store, files map[string]string, m Metadata) Pushed {
	t.Helper()
	out, err := s.Push(t.Context(), "payments", "ledger", folder(files), m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// forged is an artifact that somebody else pushed, with whatever they liked.
type forged struct {
	repository, tag, config, layerType string
	layer                              []byte
	size                               int64 // that it says the layer has; 0: the truth
	annotations                        map[string]string
}

// forge is what Push would push of one file, for ledger.
func forge(t *testing.T, files map[string]string) forged {
	t.Helper()
	layer, sum, err := pack(bytesOf(files))
	if err != nil {
		t.Fatal(err)
	}
	a := Artifact{ID: id(of("main"), sum), Content: sum, Metadata: of("main")}
	return forged{"artifacts/payments/ledger", a.ID, configType, layerType, layer, 0, annotations("payments", "ledger", a)}
}

// say is the same with another annotation.
func (f forged) say(key, value string) forged {
	f.annotations = maps.Clone(f.annotations)
	f.annotations[key] = value
	return f
}

// push pushes it, and is what a look at it would find if it were believed.
func (f forged) push(t *testing.T, r *ocitest.Registry) Artifact {
	t.Helper()
	to, err := oci.Open(r.URL(f.repository), oci.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := oras.PushBytes(t.Context(), to, f.layerType, f.layer)
	if err != nil {
		t.Fatal(err)
	}
	if f.size > 0 {
		layer.Size = f.size
	}
	config, err := oras.PushBytes(t.Context(), to, f.config, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Annotations: f.annotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, raw)
	if err := to.PushReference(t.Context(), manifest, bytes.NewReader(raw), f.tag); err != nil {
		t.Fatal(err)
	}
	return Artifact{ID: f.tag, Digest: manifest.Digest.String(), Content: f.annotations[annotationContent], Metadata: of("main")}
}

func bytesOf(files map[string]string) Files {
	out := Files{}
	for name, content := range files {
		out[name] = []byte(content)
	}
	return out
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// says fails unless an error's text has every part.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not say %q", err, part)
		}
	}
}

package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

// What others pushed is taken for what it says only if it is that.
func TestForeignArtifactsAreRefused(t *testing.T) {
	files := map[string]string{"a.yaml": deployment}
	nothing := "sha256:" + strings.Repeat("0", 64)
	other, _, err := pack(bytesOf(map[string]string{"a.yaml": strings.ReplaceAll(deployment, "2", "3")}))
	if err != nil {
		t.Fatal(err)
	}
	change := func(change func(*forged)) func(forged) forged {
		return func(f forged) forged { change(&f); return f }
	}
	say := func(key, value string) func(forged) forged { return func(f forged) forged { return f.say(key, value) } }
	for name, c := range map[string]struct {
		make    func(forged) forged
		resolve error
		pull    error
	}{
		"what Push would push":            {change(func(*forged) {}), nil, nil},
		"the artifact of another service": {say(annotationService, "payments/other"), ErrInvalid, ErrInvalid},
		"another branch":                  {say(annotationBranch, "feature"), ErrInvalid, ErrInvalid},
		"another commit":                  {say(ocispec.AnnotationRevision, "main@sha1:"+strings.Repeat("a", 40)), ErrInvalid, ErrInvalid},
		"a revision of no kind":           {say(ocispec.AnnotationRevision, "v1.0.0"), ErrInvalid, ErrInvalid},
		"another id":                      {change(func(f *forged) { f.tag = "main-4f1c9d2-0000" }), ErrInvalid, ErrInvalid},
		"no time":                         {say(ocispec.AnnotationCreated, "yesterday"), ErrInvalid, ErrInvalid},
		"a link that runs":                {say(annotationCI, "javascript:alert(1)"), ErrInvalid, ErrInvalid},
		"an author with an escape":        {say(annotationAuthor, "\x1b[31m"), ErrInvalid, ErrInvalid},
		"content that is none":            {say(annotationContent, "md5:0"), ErrInvalid, ErrInvalid},
		"other content":                   {change(func(f *forged) { f.layer = other }), nil, ErrInvalid},
		"content that it says and is not": {func(f forged) forged {
			return f.say(annotationContent, f.annotations[annotationContent][:11]+nothing[11:])
		}, nil, ErrInvalid},
		"an image":                   {change(func(f *forged) { f.config = "application/vnd.oci.image.config.v1+json" }), ErrInvalid, ErrInvalid},
		"a layer of another kind":    {change(func(f *forged) { f.layerType = "application/vnd.oci.image.layer.v1.tar+gzip" }), nil, ErrInvalid},
		"a layer of 100 MB":          {change(func(f *forged) { f.size = 100_000_000 }), nil, ErrTooLarge},
		"an archive that climbs out": {change(func(f *forged) { f.layer = archive(t, regular("../a.yaml", deployment)) }), nil, ErrInvalid},
		"a layer that is no archive": {change(func(f *forged) { f.layer = []byte("hello") }), nil, ErrInvalid},
		"a kustomization that fetches": {change(func(f *forged) {
			f.layer = archive(t, regular("kustomization.yaml", "resources: ['https://example.com/a']"))
		}), nil, ErrInvalid},
		"100 MB that compress very well": {change(func(f *forged) { f.layer = zeros(t, 100_000_000) }), nil, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := start(t)
			pushed := c.make(forge(t, files)).push(t, r)
			found, err := s.Resolve(t.Context(), "payments", "ledger", pushed.ID)
			if !errors.Is(err, c.resolve) {
				t.Errorf("resolve: %+v, %v; want %v", found, err, c.resolve)
			}
			pulled, err := s.Pull(t.Context(), "payments", "ledger", pushed)
			if !errors.Is(err, c.pull) {
				t.Errorf("pull: %d files, %v; want %v", len(pulled), err, c.pull)
			}
		})
	}
}

func TestALayerOf100MBIsNotAskedFor(t *testing.T) {
	s, r := start(t)
	f := forge(t, map[string]string{"a.yaml": deployment})
	f.size = 100_000_000
	pushed := f.push(t, r)
	r.Asked()
	if _, err := s.Pull(t.Context(), "payments", "ledger", pushed); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v is not %v", err, ErrTooLarge)
	}
	for _, request := range r.Asked() {
		if strings.Contains(request, "/blobs/") {
			t.Errorf("it was asked for: %s", request)
		}
	}
}

// fetch is what the registry answers to a plain request.
func fetch(t *testing.T, r *ocitest.Registry, path string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Host()+"/v2/artifacts/payments/ledger/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, answer.Status, err)
	}
	return body
}

// What Flux's tools read: the annotations, the media types, and the only layer, a gzipped tar.
func TestOtherToolsReadIt(t *testing.T) {
	s, r := start(t)
	pushed := push(t, s, map[string]string{"app/a.yaml": deployment}, of("main"))
	raw := fetch(t, r, "manifests/"+pushed.ID)
	same(t, pushed.Digest, fmt.Sprintf("sha256:%x", sha256.Sum256(raw)))
	var manifest struct {
		MediaType string
		Config    struct{ MediaType, Digest string }
		Layers    []struct {
			MediaType, Digest string
			Size              int
		}
		Annotations map[string]string
	}
	if err := json.Unmarshal(raw, &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("%v:\n%s", err, raw)
	}
	same(t, []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"},
		[]string{manifest.MediaType, manifest.Config.MediaType, manifest.Layers[0].MediaType})
	same(t, map[string]string{
		"org.opencontainers.image.source":   "https://git.example.com/payments/ledger",
		"org.opencontainers.image.revision": "main@sha1:" + commit,
		"org.opencontainers.image.created":  "2026-11-22T08:17:00Z",
		"dev.fairway.service":               "payments/ledger",
		"dev.fairway.branch":                "main",
		"dev.fairway.author":                "Ada Example <ada@example.com>",
		"dev.fairway.ci":                    "https://ci.example.com/runs/17",
		"dev.fairway.content":               pushed.Content,
	}, manifest.Annotations)
	same(t, "{}", string(fetch(t, r, "blobs/"+manifest.Config.Digest)))
	layer := fetch(t, r, "blobs/"+manifest.Layers[0].Digest)
	same(t, manifest.Layers[0].Size, len(layer))
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "tar", "-xzf", "-", "-C", dir)
	command.Stdin = bytes.NewReader(layer)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	unpacked, err := os.ReadFile(filepath.Join(dir, "app/a.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, deployment, string(unpacked))
}

func TestCredentials(t *testing.T) {
	r := ocitest.Start(t)
	r.Want("ledger", "s3cret")
	const right, wrong = `{"username":"ledger","password":"s3cret"}`, `{"auth":"bGVkZ2VyOndyb25n"}`
	host := r.Host()
	for name, c := range map[string]struct {
		secret string
		want   error
	}{
		"for the host":                       {`{"auths":{"` + host + `":` + right + `}}`, nil},
		"encoded":                            {`{"auths":{"` + host + `":{"auth":"bGVkZ2VyOnMzY3JldA=="}}}`, nil},
		"for the host as an address":         {`{"auths":{"https://` + host + `/":` + right + `}}`, nil},
		"for a path of it":                   {`{"auths":{"` + host + `/artifacts":` + right + `}}`, nil},
		"the longest path counts":            {`{"auths":{"` + host + `":` + wrong + `,"` + host + `/artifacts":` + right + `}}`, nil},
		"for another path":                   {`{"auths":{"` + host + `/art":` + right + `}}`, ErrUnauthorized},
		"for another host":                   {`{"auths":{"example.com":` + right + `}}`, ErrUnauthorized},
		"wrong ones":                         {`{"auths":{"` + host + `":` + wrong + `}}`, ErrUnauthorized},
		"none":                               {`{}`, ErrUnauthorized},
		"for a path, and others for another": {`{"auths":{"` + host + `/x":` + wrong + `,"` + host + `":` + right + `}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := DockerConfig([]byte(c.secret))
			if err != nil {
				t.Fatal(err)
			}
			s := newStore(t, r.URL("artifacts"), who)
			_, err = s.Push(t.Context(), "payments", "ledger", folder(map[string]string{"a.yaml": deployment}), of("main"))
			if !errors.Is(err, c.want) {
				t.Errorf("%v is not %v", err, c.want)
			}
		})
	}
}

func TestCredentialsThatCannotBeRead(t *testing.T) {
	for _, secret := range []string{"", "s3cret", `{"auths":"s3cret"}`} {
		if _, err := DockerConfig([]byte(secret)); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", secret, err)
		}
	}
	for _, entry := range []string{`"s3cret"`, `{"auth":"s3cret!"}`, `{"auth":"czNjcmV0"}`} {
		who, err := DockerConfig([]byte(`{"auths":{"registry.example.com":` + entry + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New("oci://registry.example.com/artifacts", who); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

func TestDockerHubGoesByItsOldName(t *testing.T) {
	who, err := DockerConfig([]byte(`{"auths":{"https://index.docker.io/v1/":{"username":"ledger","password":"s3cret"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, "oci://docker.io/payments", who)
	for host, want := range map[string]string{"registry-1.docker.io": "ledger", "example.com": ""} {
		got, err := s.client.Credential(t.Context(), host)
		if err != nil || got.Username != want {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
}

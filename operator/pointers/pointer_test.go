package pointers

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func ledger() Pointer {
	return Pointer{Cluster: "prod-aws-eu1", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Release: "payments/ledger-7k2x9", Digest: sum}
}

func TestRender(t *testing.T) {
	golden := filepath.Join("testdata", "pointer.yaml")
	if *update {
		if err := os.WriteFile(golden, Render(ledger()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(Render(ledger()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What Flux understands, as kustomize gives it to the API server.
func TestFluxReadsAPointer(t *testing.T) {
	names := func(team string) map[string]string {
		return map[string]string{"fleet.fairway.dev/team": team, "fleet.fairway.dev/service": "ledger", "fleet.fairway.dev/artifact": "main-4f1c9d2-a81b"}
	}
	got := built(t, ledger())
	want := kustomizev1.Kustomization{
		TypeMeta: metav1.TypeMeta{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "payments.ledger", Namespace: "flux-system", Labels: names("payments"),
			Annotations: map[string]string{"fleet.fairway.dev/release": "payments/ledger-7k2x9", "fleet.fairway.dev/digest": sum},
		},
		Spec: kustomizev1.KustomizationSpec{
			Path:     "./releases/payments/ledger/main-4f1c9d2-a81b",
			Interval: metav1.Duration{Duration: 10 * time.Minute}, RetryInterval: &metav1.Duration{Duration: 30 * time.Second},
			Timeout: &metav1.Duration{Duration: 2 * time.Minute}, Prune: true, Wait: true,
			SourceRef:       kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "fairway"},
			TargetNamespace: "payments", ServiceAccountName: "fairway-team-payments",
			CommonMetadata: &kustomizev1.CommonMetadata{Labels: names("payments")},
			PostBuild:      &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "fairway-cluster-values"}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// built is a pointer as it comes out of kustomize, in a folder as Flux generates a kustomization file for it.
func built(t interface{ Fatal(...any) }, p Pointer) kustomizev1.Kustomization {
	disk := filesys.MakeFsInMemory()
	if err := disk.WriteFile("app/pointer.yaml", Render(p)); err != nil {
		t.Fatal(err)
	}
	if err := disk.WriteFile("app/kustomization.yaml", []byte("resources: [pointer.yaml]")); err != nil {
		t.Fatal(err)
	}
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "app")
	if err != nil {
		t.Fatal(err)
	}
	text, err := objects.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	var out kustomizev1.Kustomization
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Names that YAML, in one of its versions, could take for something else.
var strange = []string{"null", "true", "no", "y", "on", "123", "1e3", "0x1f", "0o17", "0b1", "007", "2026-11-28", "1.5", "1_000", "12e03", "payments", "a", "x-1"}

func name(of string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(strange).Filter(func(s string) bool { return of != "label" || !strings.ContainsAny(s, "._") }),
		rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?`))
}

func drawPointer(t *rapid.T) Pointer {
	p := Pointer{
		Cluster: name("label").Draw(t, "cluster"), Team: name("label").Draw(t, "team"), Service: name("label").Draw(t, "service"),
		Artifact: name("artifact").Draw(t, "artifact"),
	}
	if rapid.Bool().Draw(t, "released") {
		p.Release, p.Digest = p.Team+"/"+name("artifact").Filter(func(s string) bool { return !strings.Contains(s, "_") }).Draw(t, "release"), sum
	}
	if p.Service == kustomization {
		p.Service = "other"
	}
	return p
}

func TestWhatIsRenderedIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPointer(t)
		if err := p.check(p.Cluster); err != nil {
			t.Fatal(err)
		}
		got, state, err := Read(with(nil, PointerPath(p.Cluster, p.Team, p.Service), string(Render(p))), p.Cluster, p.Team, p.Service)
		if diff := cmp.Diff(p, got); diff != "" || state != Ours || err != nil {
			t.Fatalf("%s, %v (-want +got):\n%s", state, err, diff)
		}
		object := built(t, p)
		for key, want := range map[string]string{"fleet.fairway.dev/team": p.Team, "fleet.fairway.dev/service": p.Service, "fleet.fairway.dev/artifact": p.Artifact} {
			if object.Labels[key] != want || object.Spec.CommonMetadata.Labels[key] != want {
				t.Fatalf("%s is not %q: %v, %v", key, want, object.Labels, object.Spec.CommonMetadata)
			}
		}
	})
}

// Whatever letter is changed, added or taken: it shows.
func TestAHandEditShows(t *testing.T) {
	original := string(Render(ledger()))
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(original)-1).Draw(t, "at")
		text := original[:at] + rapid.StringMatching(`[ -~\n]{0,3}`).Draw(t, "text") + original[at+rapid.IntRange(0, 1).Draw(t, "instead"):]
		if text == original {
			return
		}
		p := ledger()
		if state := p.parse([]byte(text)); state == Ours {
			t.Fatalf("it is %s:\n%s", state, text)
		}
	})
}

func TestADiffIsAsShortAsCanBe(t *testing.T) {
	next := ledger()
	next.Artifact, next.Release, next.Digest = "main-77aa001-1c2d", "payments/ledger-b2c3d", strings.Replace(sum, "e3b0", "0b3e", 1)
	before, after := strings.Split(string(Render(ledger())), "\n"), strings.Split(string(Render(next)), "\n")
	var changed []int
	for i := range before {
		if before[i] != after[i] {
			changed = append(changed, i)
		}
	}
	if len(before) != len(after) || len(changed) != 4 || changed[3]-changed[0] != 5 {
		t.Errorf("%d lines to %d, changed are %v", len(before), len(after), changed)
	}
}

func TestNamesAreChecked(t *testing.T) {
	long := strings.Repeat("a", 31)
	for name, c := range map[string]struct {
		change func(*Pointer)
		ok     bool
	}{
		"a pointer as it should be":                            {func(*Pointer) {}, true},
		"a pointer that no Release put there":                  {func(p *Pointer) { p.Release, p.Digest = "", "" }, true},
		"names that are long enough together":                  {func(p *Pointer) { p.Team, p.Service = long, long }, true},
		"names that are too long together":                     {func(p *Pointer) { p.Team, p.Service = long, long+"a" }, false},
		"a team that climbs out":                               {func(p *Pointer) { p.Team = ".." }, false},
		"a team with a slash":                                  {func(p *Pointer) { p.Team = "a/b" }, false},
		"no service":                                           {func(p *Pointer) { p.Service = "" }, false},
		"a service that kustomize takes for a file of its own": {func(p *Pointer) { p.Service = "kustomization" }, false},
		"a service with a dot, which parts team and service":   {func(p *Pointer) { p.Service = "a.b" }, false},
		"an artifact that climbs out":                          {func(p *Pointer) { p.Artifact = "../x" }, false},
		"an artifact that is too long for a label":             {func(p *Pointer) { p.Artifact = strings.Repeat("a", 64) }, false},
		"a cluster with a line end":                            {func(p *Pointer) { p.Cluster = "a\nb" }, false},
		"a release without a namespace":                        {func(p *Pointer) { p.Release = "ledger-7k2x9" }, false},
		"a digest that is none":                                {func(p *Pointer) { p.Digest = "sha256:x" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := ledger()
			c.change(&p)
			if err := p.check(p.Cluster); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

package survey

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fluxScene is a Flux on a cluster and the one that Fairway would put in its place.
type fluxScene struct {
	version   string            // of the one that is there
	labels    map[string]string // on all that is there
	notes     map[string]string // annotations, in the same way
	writer    string
	args      []string // more of them, of source-controller
	image     string   // of source-controller
	more      []Object // beside it
	firstOnly bool     // there is no kustomize-controller yet
	defined   *Definition
}

func (s fluxScene) observed() Observed {
	const name = "source-controller"
	seen := Observed{}
	for _, controller := range []string{name, "kustomize-controller"} {
		object := deployment("flux-system", controller)
		wanted := Wanted{Set: SetFlux, Object: object.String(), Kind: Kind{"apps/v1", kindDeployment}, Served: true,
			Runs: &Controller{Version: "v2.9.5", Images: []string{"ghcr.io/fluxcd/" + controller + ":v1"}, Args: []string{"--events-addr=http://notification-controller/"}}}
		if controller == name || !s.firstOnly {
			labels := map[string]string{labelPartOf: "flux", labelVersion: s.version}
			for key, value := range s.labels {
				labels[key] = value
			}
			object = by(annotated(labelled(object, labels), s.notes), s.writer)
			running := *wanted.Runs
			if controller == name {
				running.Args = append(slices.Clone(running.Args), s.args...)
				if s.image != "" {
					running.Images = []string{s.image}
				}
			}
			seen.Objects = append(seen.Objects, object)
			wanted.Found, wanted.Running = &object, &running
		}
		seen.Wanted = append(seen.Wanted, wanted)
	}
	if s.defined != nil {
		want := *s.defined
		want.Stored = []string{"v2"}
		found := by(Object{APIVersion: "apiextensions.k8s.io/v1", Kind: kindDefinition, Name: "helmreleases.helm.toolkit.fluxcd.io"}, "flux")
		seen.Wanted = append(seen.Wanted, Wanted{Set: SetFlux, Object: found.String(), Kind: Kind{found.APIVersion, found.Kind}, Served: true,
			Found: &found, Defines: &want, Defined: s.defined})
	}
	seen.Objects = append(seen.Objects, s.more...)
	return seen
}

var (
	bootstrapLabels = map[string]string{labelKustomization: "flux-system", labelKustomizationHome: "flux-system"}
	bothControllers = []string{"Deployment/flux-system/kustomize-controller", "Deployment/flux-system/source-controller"}
)

func TestTakeOverOf(t *testing.T) {
	none := TakeOver{Version: "v2.9.5", Objects: bothControllers, New: []string{}, Restarts: []Restart{}, Conflicts: []Conflict{}}
	from := func(owner string, change func(*TakeOver)) *TakeOver {
		out := none
		out.From = []string{owner}
		if change != nil {
			change(&out)
		}
		return &out
	}
	fairways := map[string]string{labelManagedBy: "fairway"}
	for name, c := range map[string]struct {
		scene fluxScene
		want  *TakeOver
	}{
		"one that `flux bootstrap` made can be": {fluxScene{version: "v2.9.5", labels: bootstrapLabels, writer: "kustomize-controller"}, from("Flux Kustomization/flux-system/flux-system", nil)},
		"so can one that `flux install` made":   {fluxScene{version: "v2.9.5", writer: "flux"}, from("by hand (flux)", nil)},
		"and one that kubectl made":             {fluxScene{version: "v2.9.5", writer: "kubectl"}, from("by hand (kubectl)", nil)},
		"one that is Fairway's need not be":     {fluxScene{version: "v2.9.5", labels: fairways, writer: "fairway"}, nil},
		"what is missing is new":                {fluxScene{version: "v2.9.5", writer: "flux", firstOnly: true}, from("by hand (flux)", func(t *TakeOver) { t.New, t.Objects = bothControllers[:1], bothControllers[1:] })},
		"another image replaces pods": {fluxScene{version: "v2.8.0", writer: "flux", image: "ghcr.io/fluxcd/source-controller:v0"}, from("by hand (flux)", func(t *TakeOver) {
			t.Restarts = []Restart{{bothControllers[1], "image ghcr.io/fluxcd/source-controller:v1"}}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, TakeOverOf(c.scene.observed())); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	t.Run("where there is none, there is nothing to take over", func(t *testing.T) {
		if have := TakeOverOf(Observed{Wanted: fluxScene{}.observed().Wanted}); have != nil {
			t.Errorf("%+v", have)
		}
	})
}

func TestWhatStandsInTheWayOfATakeOver(t *testing.T) {
	labels := func(name, value string) map[string]string { return map[string]string{name: value} }
	elsewhere := by(labelled(deployment("gitops", "source-controller"), map[string]string{labelPartOf: "flux", labelVersion: "v2.9.5"}), "flux")
	shard := by(labelled(deployment("flux-system", "source-controller-shard1"), map[string]string{labelPartOf: "flux", labelVersion: "v2.9.5"}), "flux")
	stored := &Definition{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease", Plural: "helmreleases", Scope: "Namespaced", Stored: []string{"v2beta1", "v2"}}
	for name, c := range map[string]struct {
		scene fluxScene
		want  []string // "object: part of the message", in order
	}{
		"Helm would write it back":                         {fluxScene{version: "v2.9.5", notes: labels(annotationHelm, "flux")}, []string{"Deployment/flux-system/source-controller: write back 2 objects; make Helm forget the release"}},
		"so would a HelmRelease":                           {fluxScene{version: "v2.9.5", labels: labels(labelHelmRelease, "flux")}, []string{"Deployment/flux-system/source-controller: make Helm forget"}},
		"and flux-operator":                                {fluxScene{version: "v2.9.5", labels: labels(labelInstanceOfFlux, "flux")}, []string{"Deployment/flux-system/source-controller: uninstall flux-operator and its FluxInstance"}},
		"and Argo CD":                                      {fluxScene{version: "v2.9.5", notes: labels(annotationArgo, "flux:apps/Deployment:flux-system/x")}, []string{"Deployment/flux-system/source-controller: take them out of what it applies"}},
		"and Terraform":                                    {fluxScene{version: "v2.9.5", writer: "terraform"}, []string{"Deployment/flux-system/source-controller: take them out of what it applies"}},
		"one elsewhere is another one":                     {fluxScene{version: "v2.9.5", writer: "flux", more: []Object{elsewhere}}, []string{"Deployment/gitops/source-controller: runs in gitops"}},
		"a shard would be nobody's":                        {fluxScene{version: "v2.9.5", writer: "flux", more: []Object{shard}}, []string{"Deployment/flux-system/source-controller-shard1: nobody would keep it"}},
		"a controller with a part of the objects is one":   {fluxScene{version: "v2.9.5", writer: "flux", args: []string{"--watch-label-selector=!sharding.fluxcd.io/key"}}, []string{"Deployment/flux-system/source-controller: divided"}},
		"what keeps tenants apart is not dropped":          {fluxScene{version: "v2.9.5", writer: "flux", args: []string{"--no-cross-namespace-refs=true"}}, []string{"Deployment/flux-system/source-controller: lose --no-cross-namespace-refs=true"}},
		"where events go is no loss":                       {fluxScene{version: "v2.9.5", writer: "flux", args: []string{"--events-addr="}}, nil},
		"a newer one is not made older":                    {fluxScene{version: "v2.10.0", writer: "flux"}, []string{"Deployment/flux-system/source-controller: newer than v2.9.5"}},
		"an older one is made newer":                       {fluxScene{version: "v2.3.0", writer: "flux"}, nil},
		"one that does not say its version may be newer":   {fluxScene{version: "main", writer: "flux"}, []string{"Deployment/flux-system/source-controller: says no version"}},
		"versions that objects are stored at do not go":    {fluxScene{version: "v2.9.5", writer: "flux", defined: stored}, []string{"CustomResourceDefinition/helmreleases.helm.toolkit.fluxcd.io: stored at v2beta1"}},
		"the Kustomization that made it lets go by itself": {fluxScene{version: "v2.9.5", labels: bootstrapLabels, writer: "kustomize-controller"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			have := TakeOverOf(c.scene.observed()).Conflicts
			if len(have) != len(c.want) {
				t.Fatalf("%d conflicts, want %d: %+v", len(have), len(c.want), have)
			}
			for i, want := range c.want {
				if object, part, _ := strings.Cut(want, ": "); have[i].Object != object || !strings.Contains(have[i].Message, part) {
					t.Errorf("have %+v, want %s", have[i], want)
				}
			}
		})
	}
	t.Run("who has agreed reads of these, and no more that the Flux is not Fairway's", func(t *testing.T) {
		seen := fluxScene{version: "v2.9.5", writer: "flux", more: []Object{elsewhere}}.observed()
		seen.TakeOver = true
		if have := Assess(seen, About{}, now).Conflicts; len(have) != 1 || have[0].Object != "Deployment/gitops/source-controller" {
			t.Errorf("%+v", have)
		}
	})
}

package survey

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConflicts(t *testing.T) {
	crd := "CustomResourceDefinition/helmreleases.helm.toolkit.fluxcd.io"
	definition := func(served, stored []string) *Definition {
		return &Definition{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease", Plural: "helmreleases", Scope: "Namespaced", Served: served, Stored: stored}
	}
	defines := func(have *Definition) Wanted {
		found := by(labelled(Object{APIVersion: "apiextensions.k8s.io/v1", Kind: kindDefinition, Name: "helmreleases.helm.toolkit.fluxcd.io"}, map[string]string{labelManagedBy: "fairway"}), "fairway")
		return Wanted{Set: SetFlux, Object: crd, Kind: Kind{"apiextensions.k8s.io/v1", kindDefinition}, Served: true, Found: &found,
			Defines: definition([]string{"v2"}, []string{"v2"}), Defined: have}
	}
	source := func(found Object) Wanted {
		return Wanted{Set: SetFlux, Object: "Deployment/flux-system/source-controller", Kind: Kind{"apps/v1", "Deployment"}, Served: true, Found: &found}
	}
	place := func(kind, object string, found *Object) Wanted {
		return Wanted{Set: "agent", Object: object, Kind: Kind{"v1", kind}, Served: true, Found: found}
	}
	foreign := by(labelled(deployment("flux-system", "source-controller"), map[string]string{labelPartOf: "flux", labelVersion: "v2.3.0"}), "flux")
	ours := by(labelled(deployment("flux-system", "source-controller"), map[string]string{labelPartOf: "flux", labelManagedBy: "fairway"}), "fairway")
	namespace := by(Object{APIVersion: "v1", Kind: "Namespace", Name: "fairway-system"}, "kubectl-create")
	argos := annotated(namespace, map[string]string{annotationArgo: "x:/Namespace:/fairway-system"})
	for name, c := range map[string]struct {
		seen Observed
		want []string // "kind object: part of the message"
	}{
		"an empty cluster has none": {Observed{Wanted: []Wanted{{Set: SetFlux, Object: "x", Kind: Kind{"apps/v1", "Deployment"}, Served: true}}}, nil},
		"a Flux of somebody's is one, not one for each of its objects": {
			Observed{Objects: []Object{foreign}, Wanted: []Wanted{source(foreign)}}, []string{"Flux Namespace/flux-system: set spec.flux.install to Existing"}},
		"a Flux of somebody's is none when it is to be used":      {Observed{Objects: []Object{foreign}}, nil},
		"Fairway's own Flux is none":                              {Observed{Objects: []Object{ours}, Wanted: []Wanted{source(ours)}}, nil},
		"an object of the name that a person made":                {Observed{Wanted: []Wanted{source(by(deployment("flux-system", "source-controller"), "kubectl"))}}, []string{"Object Deployment/flux-system/source-controller: overwrite"}},
		"an object of the name that a tool keeps":                 {Observed{Wanted: []Wanted{source(by(deployment("flux-system", "source-controller"), "terraform"))}}, []string{"Object Deployment/flux-system/source-controller: both would write"}},
		"a namespace that a person made can be shared":            {Observed{Wanted: []Wanted{place("Namespace", "Namespace/fairway-system", &namespace)}}, nil},
		"a namespace that a tool keeps cannot":                    {Observed{Wanted: []Wanted{place("Namespace", "Namespace/fairway-system", &argos)}}, []string{"Object Namespace/fairway-system: both would write"}},
		"a kind that nobody defines":                              {Observed{Wanted: []Wanted{{Set: "sync", Object: "x", Kind: Kind{"source.toolkit.fluxcd.io/v1", "GitRepository"}}}}, []string{"Version x: does not serve source.toolkit.fluxcd.io/v1 GitRepository"}},
		"a kind that the plan defines":                            {Observed{Wanted: []Wanted{{Set: "sync", Object: "x", Kind: Kind{"helm.toolkit.fluxcd.io/v2", "HelmRelease"}}, defines(nil)}}, nil},
		"the same definition":                                     {Observed{Wanted: []Wanted{defines(definition([]string{"v2"}, []string{"v2"}))}}, nil},
		"a definition of another scope":                           {Observed{Wanted: []Wanted{defines(&Definition{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease", Plural: "helmreleases", Scope: "Cluster"})}}, []string{"Definition " + crd + ": does not let change"}},
		"a version that objects may be stored at":                 {Observed{Wanted: []Wanted{defines(definition([]string{"v2"}, []string{"v2beta1", "v2"}))}}, []string{"Version " + crd + ": stored at v2beta1"}},
		"a version that is served and that nobody uses is no one": {Observed{Wanted: []Wanted{defines(definition([]string{"v2", "v2beta2"}, []string{"v2"}))}}, nil},
		"a version that is in use and goes": {
			Observed{Wanted: []Wanted{defines(definition([]string{"v2", "v2beta2"}, []string{"v2"}))}, Objects: []Object{{
				APIVersion: "helm.toolkit.fluxcd.io/v2", Kind: "HelmRelease", Namespace: "shop", Name: "web",
				Writers: []Writer{{Name: "kubectl", APIVersion: "helm.toolkit.fluxcd.io/v2beta2"}}}}},
			[]string{"Version " + crd + ": helm.toolkit.fluxcd.io/v2beta2 would no longer be served; written at it: 1 object, such as HelmRelease/shop/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := Assess(c.seen, About{}, now).Conflicts
			if len(have) != len(c.want) {
				t.Fatalf("%d conflicts, want %d: %+v", len(have), len(c.want), have)
			}
			for i, want := range c.want {
				if head, part, _ := strings.Cut(want, ": "); string(have[i].Kind)+" "+have[i].Object != head || !strings.Contains(have[i].Message, part) {
					t.Errorf("have %+v, want %s", have[i], want)
				}
			}
		})
	}
}

func TestAnObjectWrittenAtTwoVersionsCountsForBoth(t *testing.T) {
	o := Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "web", Writers: []Writer{
		{Name: "kubectl", APIVersion: "extensions/v1beta1"}, {Name: "helm", APIVersion: "networking.k8s.io/v1beta1"}, {Name: "nginx", APIVersion: "networking.k8s.io/v1"},
	}}
	want := []RemovedAPI{
		{APIVersion: "extensions/v1beta1", Kind: "Ingress", RemovedIn: "1.22", Use: "networking.k8s.io/v1", Objects: 1, Managers: []string{"kubectl"}, Examples: []string{"Ingress/shop/web"}},
		{APIVersion: "networking.k8s.io/v1beta1", Kind: "Ingress", RemovedIn: "1.22", Use: "networking.k8s.io/v1", Objects: 1, Managers: []string{"helm"}, Examples: []string{"Ingress/shop/web"}},
	}
	if diff := cmp.Diff(want, removedAPIs(Observed{Objects: []Object{o}})); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/api/event"
)

func TestEveryCommitChangesEachKustomizationAndBreaksAnotherOne(t *testing.T) {
	p := plan{Services: 2, Break: 3}
	broken := []int{}
	for n := range 13 {
		files := p.round(n)
		if len(files) != p.Services {
			t.Fatalf("commit %d writes %d files, want one for each of %d", n, len(files), p.Services)
		}
		for i := range p.Services {
			var obj struct{ Data map[string]any }
			text := files["compare/"+service(i)+"/round.yaml"]
			if err := yaml.Unmarshal([]byte(text), &obj); err != nil {
				t.Fatal(err)
			}
			if value, fine := obj.Data["round"].(string); fine == (p.broken(n) == i) || fine && value != fmt.Sprint(n) {
				t.Errorf("commit %d, %s, broken is %d:\n%s", n, service(i), p.broken(n), text)
			}
		}
		if i := p.broken(n); i >= 0 {
			broken = append(broken, i)
		}
	}
	if len(broken) != 4 || broken[0] == broken[1] {
		t.Errorf("broken one after the other: %v, want 4, each another than the one before", broken)
	}
	if (plan{Services: 2}).broken(6) != -1 {
		t.Error("a plan that breaks nothing breaks something")
	}
}

func TestWhatTheLayoutListsIsWhatIsCounted(t *testing.T) {
	p := plan{Services: 2}
	files := p.layout()
	list := files["clusters/"+cluster+"/compare.yaml"]
	for i := range p.Services {
		obj := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: service(i)}
		if !strings.Contains(list, "name: "+service(i)+",") || !p.counted(obj) {
			t.Errorf("%s is not both laid out and counted", obj)
		}
	}
	for _, obj := range []event.Object{
		{Kind: "Kustomization", Namespace: "flux-system", Name: "platform"}, {Kind: "Kustomization", Namespace: "demo", Name: service(0)},
		{Kind: "HelmRelease", Namespace: "flux-system", Name: service(0)}, {Kind: "GitRepository", Namespace: "flux-system", Name: "other"},
	} {
		if p.counted(obj) {
			t.Errorf("%s is counted", obj)
		}
	}
	if !p.counted(source) {
		t.Error("the source is not counted")
	}
}

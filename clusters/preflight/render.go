package preflight

import (
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
)

// Rendered is what kustomize makes of an artifact: the same for every cluster, until its values are filled in. It is safe for
// concurrent use.
type Rendered struct {
	of      identity
	objects []rendered
	uses    []layers.Use // of variables, in the artifact's files
}

// rendered is an object before values are filled in.
type rendered struct {
	text    string // YAML
	literal bool   // nothing is filled in
}

// identity is whose artifact it is.
type identity struct{ team, service, artifact string }

// Render builds an artifact's files, by path from its folder, as far as that is the same for all clusters. It takes a moment:
// Objects is what a cluster costs.
func Render(files map[string][]byte, team, service, artifact string) (Rendered, []Problem) {
	out := Rendered{of: identity{team, service, artifact}}
	src, problems := newSource(files)
	if len(problems) > 0 {
		return out, problems
	}
	root, file, problems := src.look()
	if len(problems) > 0 {
		return out, problems
	}
	if problems := src.outside(root, file, team); len(problems) > 0 {
		return out, problems
	}
	root.Namespace = team
	resources, err := src.kustomize(root, file)
	if err != nil {
		return out, []Problem{failed("", "kustomize cannot build it: %v", err)}
	}
	if len(resources) == 0 {
		return out, []Problem{failed("", "there is no object in it")}
	}
	return out.fill(src, resources)
}

func (r Rendered) fill(src source, resources []*resource.Resource) (Rendered, []Problem) {
	if len(resources) > maxObjects {
		return r, []Problem{failed("", "it has %d objects, of at most %d", len(resources), maxObjects)}
	}
	for _, each := range resources {
		text, err := each.AsYAML()
		if err != nil {
			return r, []Problem{failed(idOf(each), "it cannot be written as YAML: %v", err)}
		}
		r.objects = append(r.objects, rendered{text: string(text), literal: literal(each.GetLabels()) || literal(each.GetAnnotations())})
	}
	tree, err := src.tree()
	if err == nil {
		r.uses, err = layers.Uses(tree, ".")
	}
	if err != nil {
		return r, []Problem{failed("", "%v", err)}
	}
	return r, nil
}

// literal says whether labels or annotations tell Flux to fill nothing in.
func literal(marks map[string]string) bool {
	return marks["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"
}

// outside are the objects that the artifact itself puts into a namespace that is not the team's, or into none. Flux would
// move the former into the team's, which is not what whoever wrote them meant.
func (s source) outside(root types.Kustomization, file, team string) []Problem {
	resources, err := s.kustomize(root, file)
	if err != nil {
		return []Problem{failed("", "kustomize cannot build it: %v", err)}
	}
	var out []Problem
	for _, each := range resources {
		namespace := each.GetNamespace()
		switch {
		case each.GetGvk().IsClusterScoped():
			out = append(out, ofCluster(each.GetKind(), idOf(each)))
		case namespace != "" && namespace != team:
			out = append(out, problem(fleetv1.ReasonOutsideTeam, idOf(each),
				"it is for namespace %s; leave the namespace out, or make it the team's, %s", namespace, team))
		}
	}
	return out
}

// idOf is "Deployment/payments/ledger", or without a namespace "Namespace/payments".
func idOf(of *resource.Resource) string {
	parts := []string{of.GetKind(), of.GetNamespace(), of.GetName()}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

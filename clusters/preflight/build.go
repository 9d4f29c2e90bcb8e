package preflight

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"github.com/fluxcd/pkg/ssa/normalize"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
)

// Labels that Flux puts on what a Kustomization applies.
const (
	labelKustomization     = "kustomize.toolkit.fluxcd.io/name"
	labelKustomizationHome = "kustomize.toolkit.fluxcd.io/namespace"
)

// Build is what Flux would apply of an artifact on a cluster that has these values, or why it would apply nothing: it is
// Render and Objects in one.
func Build(files map[string][]byte, values map[string]string, team, service, artifact string) ([]*unstructured.Unstructured, []Problem) {
	rendered, problems := Render(files, team, service, artifact)
	if len(problems) > 0 {
		return nil, problems
	}
	return rendered.Objects(values)
}

// Objects are what Flux would apply on a cluster that has these values, all in the team's namespace and with the labels that the
// pointer and Flux give them. With problems there are none.
func (r Rendered) Objects(values map[string]string) ([]*unstructured.Unstructured, []Problem) {
	values, problems := usable(values)
	if problems = append(problems, r.missing(values)...); len(problems) > 0 {
		return nil, problems
	}
	var objs []*unstructured.Unstructured
	for _, each := range r.objects {
		made, err := each.on(values)
		if err != nil {
			problems = append(problems, failed(each.name(), "%v", err))
			continue
		}
		objs = append(objs, made...)
	}
	problems = append(problems, r.of.check(objs)...)
	if len(problems) == 0 {
		if err := normalize.UnstructuredList(objs); err != nil {
			problems = append(problems, failed("", "%v", err))
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	ssautil.SetCommonMetadata(objs, r.of.labels(), nil)
	return objs, nil
}

// labels are those of all objects of the artifact.
func (i identity) labels() map[string]string {
	return map[string]string{
		fleetv1.LabelTeam: i.team, fleetv1.LabelService: i.service, fleetv1.LabelArtifact: i.artifact,
		labelKustomization: i.pointer(), labelKustomizationHome: fleetv1.FluxNamespace,
	}
}

// pointer is the name of the Kustomization that applies the service.
func (i identity) pointer() string { return i.team + "." + i.service }

var variableName = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// usable are values as Flux takes them: without line ends, and with names that it knows.
func usable(values map[string]string) (map[string]string, []Problem) {
	out := map[string]string{}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !variableName.MatchString(name) {
			problems = append(problems, failed("", "the cluster has a value whose name Flux does not take: %q", name))
		}
		out[name] = strings.ReplaceAll(values[name], "\n", "")
	}
	return out, problems
}

// missing are the variables that objects use and values lack, each with the places where files use it.
func (r Rendered) missing(values map[string]string) []Problem {
	places := map[string][]string{}
	for _, use := range layers.Missing(r.uses, values) {
		place := use.String()
		if use.Variable != "" {
			place = fmt.Sprintf("%s:%d", use.File, use.Line)
		}
		places[use.Variable] = append(places[use.Variable], place)
	}
	var out []Problem
	seen := map[string]bool{}
	for _, each := range r.objects {
		if each.literal {
			continue
		}
		for _, use := range layers.Missing(layers.UsesIn(each.text), values) {
			switch {
			case use.Variable == "":
				out = append(out, failed(each.name(), "%s", unreadableUse(places[""], use)))
			case !seen[use.Variable]:
				out = append(out, problem(fleetv1.ReasonVariableMissing, each.name(), "%s", lacking(use.Variable, places[use.Variable])))
			}
			seen[use.Variable] = true
		}
	}
	return out
}

// unreadableUse is what is wrong with an expression: as its file has it, if that is known.
func unreadableUse(places []string, use layers.Use) string {
	if len(places) > 0 {
		return strings.Join(places, "; ")
	}
	return use.Problem
}

// lacking says that a variable has no value.
func lacking(variable string, places []string) string {
	text := "${" + variable + "} has no value on the cluster, and no default"
	if len(places) == 0 {
		return text
	}
	return text + ": " + strings.Join(places, ", ")
}

// on fills in values. The result is one object, or none where the text is of another kind of thing.
func (r rendered) on(values map[string]string) ([]*unstructured.Unstructured, error) {
	text := r.text
	if !r.literal {
		filled, err := envsubst.Eval(text, func(name string) (string, bool) {
			value, ok := values[name]
			return value, ok
		})
		if err != nil {
			return nil, fmt.Errorf("its variables cannot be filled in: %w", err)
		}
		text = filled
	}
	if found := newBounds().read(text, false); found != nil {
		return nil, fmt.Errorf("with its variables filled in, %s", found.why)
	}
	objs, err := ssautil.ReadObjects(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if len(objs) != 1 {
		return nil, errors.New("it is no Kubernetes object, which has apiVersion, kind and metadata.name")
	}
	return objs, nil
}

// name is that of the object before values are filled in.
func (r rendered) name() string {
	objs, err := ssautil.ReadObjects(strings.NewReader(r.text))
	if err != nil || len(objs) != 1 {
		return ""
	}
	return ssautil.FmtUnstructured(objs[0])
}

// check says which objects cannot be the team's.
func (i identity) check(objs []*unstructured.Unstructured) []Problem {
	var out []Problem
	seen := map[string]bool{}
	for _, obj := range objs {
		id := ssautil.FmtUnstructured(obj)
		key := obj.GroupVersionKind().Group + "/" + id
		switch {
		case obj.GetNamespace() == "":
			out = append(out, ofCluster(obj.GetKind(), id))
		case obj.GetNamespace() != i.team:
			out = append(out, problem(fleetv1.ReasonOutsideTeam, id, "it is in namespace %s, and the team's is %s", obj.GetNamespace(), i.team))
		case seen[key]:
			out = append(out, failed(id, "it is in the artifact twice"))
		case encrypted(obj):
			out = append(out, failed(id, "it is encrypted by SOPS, and Flux has no key for services; have the Secret made on the cluster, by a tool that fetches secrets"))
		}
		seen[key] = true
	}
	return out
}

// ofCluster is the problem of an object that is in no namespace.
func ofCluster(kind, id string) Problem {
	return problem(fleetv1.ReasonOutsideTeam, id, "a %s is of the whole cluster, which is the platform's; a layer of the platform can have it", kind)
}

// encrypted says whether Flux would refuse a Secret.
func encrypted(obj *unstructured.Unstructured) bool {
	_, sops := obj.Object["sops"]
	return sops && obj.GetKind() == "Secret" && obj.GetAPIVersion() == "v1" &&
		!strings.EqualFold(obj.GetAnnotations()["kustomize.toolkit.fluxcd.io/decrypt"], "disabled")
}

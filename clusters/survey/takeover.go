package survey

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// LookAtFlux observes what TakeOverOf needs: Flux's controllers in every namespace, and what stands in the
// place of the plan's objects. Like Look, it sends nothing that changes anything.
func LookAtFlux(ctx context.Context, c Connection, plan Plan) (Observed, error) {
	l, err := newLook(c)
	if err != nil {
		return Observed{}, err
	}
	if err := l.discover(ctx, plan); err != nil {
		return Observed{}, err
	}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	if err := l.list(ctx, resource{deployments, kindDeployment, true, true}); err != nil {
		return Observed{}, fmt.Errorf("list Deployments: %w", err)
	}
	if err := l.compare(ctx, plan); err != nil {
		return Observed{}, err
	}
	if len(l.seen.Denied) > 0 {
		return Observed{}, fmt.Errorf("look at Flux: the account may not %s %s", l.seen.Denied[0].Verb, l.seen.Denied[0].Resource)
	}
	return l.seen, ctx.Err()
}

// TakeOverOf says what it comes to to make the Flux that was observed the plan's; nil when there is none,
// when all of it is Fairway's already, or when the plan has no Flux.
func TakeOverOf(seen Observed) *TakeOver {
	controllers := controllersOf(seen)
	plan := wantedFlux(seen)
	ours := !slices.ContainsFunc(controllers, func(o Object) bool { return owners(o)[0].Tool != ToolFairway })
	if ours || len(plan) == 0 {
		return nil
	}
	out := &TakeOver{From: []string{}, Objects: []string{}, New: []string{}, Restarts: []Restart{}, Conflicts: []Conflict{}}
	for _, w := range plan {
		if w.Runs != nil && out.Version == "" {
			out.Version = w.Runs.Version
		}
		if w.Found == nil {
			out.New = append(out.New, w.Object)
			continue
		}
		out.Objects = append(out.Objects, w.Object)
		if why := restarts(w.Runs, w.Running); why != "" {
			out.Restarts = append(out.Restarts, Restart{w.Object, why})
		}
	}
	keepers := keepersOf(plan)
	for _, k := range keepers {
		out.From = append(out.From, k.owner.String())
	}
	for _, found := range [][]Conflict{
		stray(controllers, plan), newer(controllers, out.Version), heldOn(keepers), customised(plan), redefined(plan, seen.Objects),
	} {
		out.Conflicts = append(out.Conflicts, found...)
	}
	for _, list := range [][]string{out.From, out.Objects, out.New} {
		slices.Sort(list)
	}
	return out
}

func controllersOf(seen Observed) []Object {
	var out []Object
	for _, o := range seen.Objects {
		if o.Kind == kindDeployment && strings.HasPrefix(o.APIVersion, "apps/") && isController(o) {
			out = append(out, o)
		}
	}
	return out
}

func wantedFlux(seen Observed) []Wanted {
	return slices.DeleteFunc(slices.Clone(seen.Wanted), func(w Wanted) bool { return w.Set != SetFlux })
}

// restarts says what of a controller changes in a way that replaces its pods; nothing when nothing does.
func restarts(want, have *Controller) string {
	if want == nil || have == nil {
		return ""
	}
	var out []string
	for i, image := range want.Images {
		if i >= len(have.Images) || have.Images[i] != image {
			out = append(out, "image "+image)
		}
	}
	if !slices.Equal(want.Args, have.Args) {
		out = append(out, "other arguments")
	}
	return strings.Join(out, ", ")
}

// stray are the controllers that the plan has not: those of a Flux elsewhere, of one that is divided, and of
// components that the Fleet does without.
func stray(controllers []Object, plan []Wanted) []Conflict {
	planned := map[string]bool{}
	for _, w := range plan {
		planned[w.Object] = true
	}
	var out []Conflict
	for _, o := range controllers {
		name := o.String()
		switch {
		case o.Namespace != fleetv1.FluxNamespace:
			out = append(out, fluxConflict(name, owners(o)[0], "a Flux runs in "+o.Namespace+", and only one in "+fleetv1.FluxNamespace+
				" is taken over; move it there with what installed it, or uninstall it, or set spec.flux.install to Existing"))
		case !planned[name]:
			out = append(out, fluxConflict(name, owners(o)[0],
				"the Fleet's Flux has no "+o.Name+", so that nobody would keep it; add it to spec.flux.components of the Fleet, or delete it with all that it does"))
		}
	}
	return out
}

// newer are a Flux that is newer than the plan's, and one that does not say what it is.
func newer(controllers []Object, planned string) []Conflict {
	want, err := version.ParseSemantic(planned)
	if err != nil {
		return nil // a mirror's own: there is no order to keep
	}
	for _, o := range controllers {
		have, err := version.ParseSemantic(o.Labels[labelVersion])
		switch {
		case o.Namespace != fleetv1.FluxNamespace: // told of as such
		case err != nil:
			return []Conflict{fluxConflict(o.String(), owners(o)[0],
				"its label "+labelVersion+" says no version, so that it may be newer than "+planned+"; set the label to its version")}
		case have.GreaterThan(want):
			return []Conflict{fluxConflict(o.String(), owners(o)[0], "it is "+o.Labels[labelVersion]+", newer than "+planned+
				" that Fairway would put there; raise spec.flux.version of this WorkloadCluster or of the Fleet")}
		}
	}
	return nil
}

// keeper is an owner, and what it keeps of the plan.
type keeper struct {
	owner   Owner
	objects []string
}

// keepersOf are all who claim what is there of the plan, but for Fairway.
func keepersOf(plan []Wanted) []keeper {
	var out []keeper
	for _, w := range plan {
		if w.Found == nil {
			continue
		}
		for _, owner := range owners(*w.Found) {
			if owner.Tool == ToolFairway {
				continue
			}
			i := slices.IndexFunc(out, func(k keeper) bool { return k.owner == owner })
			if i < 0 {
				i, out = len(out), append(out, keeper{owner: owner})
			}
			out[i].objects = append(out[i].objects, w.Object)
		}
	}
	slices.SortFunc(out, func(a, b keeper) int { return strings.Compare(a.owner.String(), b.owner.String()) })
	return out
}

// heldOn are keepers who would write back what Fairway applies. A Kustomization is none: Flux leaves alone what
// carries Fairway's annotations.
func heldOn(keepers []keeper) []Conflict {
	var out []Conflict
	for _, k := range keepers {
		if fix := release(k.owner); fix != "" {
			out = append(out, fluxConflict(k.objects[0], k.owner, fmt.Sprintf("it would write back %s; %s", count(len(k.objects), "object"), fix)))
		}
	}
	return out
}

// release says how an owner is made to let an object go; nothing for one who does not hold on to it.
func release(o Owner) string {
	const keep = ", without deleting its objects, first"
	switch {
	case !o.reconciles():
		return ""
	case o.Tool == ToolHelm, strings.HasPrefix(o.Name, "HelmRelease/"):
		return "make Helm forget the release" + keep
	case strings.HasPrefix(o.Name, "FluxInstance/"), o.Name == "flux-operator":
		return "uninstall flux-operator and its FluxInstance" + keep
	case o.Tool == ToolFlux:
		return ""
	}
	return "take them out of what it applies" + keep
}

// eventsFlag says where events go, which follows from the components that there are.
const eventsFlag = "--events-addr="

// customised are controllers with arguments that Fairway's lack: they may be what keeps tenants apart.
func customised(plan []Wanted) []Conflict {
	var out []Conflict
	for _, w := range plan {
		if w.Runs == nil || w.Running == nil {
			continue
		}
		lost := slices.DeleteFunc(without(w.Running.Args, w.Runs.Args), func(arg string) bool { return strings.HasPrefix(arg, eventsFlag) })
		sharded := slices.ContainsFunc(lost, func(arg string) bool { return strings.HasPrefix(arg, "--watch-label-selector") })
		switch {
		case sharded:
			out = append(out, fluxConflict(w.Object, owners(*w.Found)[0],
				"it works on a part of the objects only (--watch-label-selector): a Flux that is divided is not taken over; set spec.flux.install to Existing"))
		case len(lost) > 0:
			out = append(out, fluxConflict(w.Object, owners(*w.Found)[0], "it would lose "+strings.Join(lost, " ")+
				"; take that out first where it is set, if it can be done without, or set spec.flux.install to Existing"))
		}
	}
	return out
}

// redefined are definitions that the plan's would break.
func redefined(plan []Wanted, objects []Object) []Conflict {
	var out []Conflict
	for _, w := range plan {
		if w.Defines != nil && w.Defined != nil {
			out = append(out, clashes(w, objects)...)
		}
	}
	return out
}

func fluxConflict(object string, owner Owner, message string) Conflict {
	return Conflict{Kind: ConflictFlux, Set: SetFlux, Object: object, Owner: owner.String(), Message: message}
}

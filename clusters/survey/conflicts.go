package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SetFlux is the name of the set that is Flux itself.
const SetFlux = "flux"

// conflicts are what stands in the way of the plan.
func conflicts(seen Observed, flux *Flux, takeOver *TakeOver) []Conflict {
	out := []Conflict{}
	taken := seen.TakeOver && takeOver != nil
	foreign := foreignFlux(seen, flux)
	switch {
	case taken:
		out = append(out, takeOver.Conflicts...)
	case foreign != nil:
		out = append(out, *foreign)
	}
	defined := map[Kind]bool{} // kinds that the plan brings along
	for _, w := range seen.Wanted {
		if w.Defines != nil {
			for _, version := range w.Defines.Served {
				defined[Kind{schema.GroupVersion{Group: w.Defines.Group, Version: version}.String(), w.Defines.Kind}] = true
			}
		}
	}
	for _, w := range seen.Wanted {
		if taken && w.Set == SetFlux {
			continue
		}
		c, other := placeTaken(w)
		if said := foreign != nil && w.Set == SetFlux && c.Owner == flux.Owner; other && !said {
			out = append(out, c)
		}
		if !w.Served && !defined[w.Kind] {
			out = append(out, Conflict{Kind: ConflictVersion, Set: w.Set, Object: w.Object,
				Message: fmt.Sprintf("the cluster does not serve %s %s; upgrade what defines it", w.Kind.APIVersion, w.Kind.Kind)})
		}
		if w.Defines != nil && w.Defined != nil {
			out = append(out, clashes(w, seen.Objects)...)
		}
	}
	slices.SortStableFunc(out, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(slices.Index(conflictKinds, a.Kind), slices.Index(conflictKinds, b.Kind)),
			strings.Compare(a.Set, b.Set), strings.Compare(a.Object, b.Object))
	})
	return out
}

// conflictKinds in the order of reports.
var conflictKinds = []ConflictKind{ConflictFlux, ConflictDefinition, ConflictVersion, ConflictObject}

// foreignFlux is the conflict of a Flux that runs, and the plan's own. What both have of one name is
// part of it.
func foreignFlux(seen Observed, flux *Flux) *Conflict {
	if flux == nil || flux.Owner == (Owner{Tool: ToolFairway}).String() {
		return nil
	}
	planned := slices.ContainsFunc(seen.Wanted, func(w Wanted) bool { return w.Set == SetFlux })
	if !planned {
		return nil
	}
	return &Conflict{Kind: ConflictFlux, Set: SetFlux, Object: "Namespace/" + flux.Namespace, Owner: flux.Owner, Message: fmt.Sprintf(
		"Flux %s runs in %s and Fairway did not install it; set spec.flux.install to Existing to use it as it is, or to TakeOver to make it Fairway's",
		cmp.Or(flux.Version, "of an unknown version"), flux.Namespace)}
}

// placeTaken says whether an object of the plan is there and somebody else's. A namespace may be
// shared with a person, not with a tool that would write it back.
func placeTaken(w Wanted) (Conflict, bool) {
	if w.Found == nil {
		return Conflict{}, false
	}
	owner := owners(*w.Found)[0]
	if owner.Tool == ToolFairway || w.Kind.Kind == "Namespace" && !owner.reconciles() {
		return Conflict{}, false
	}
	message := "Fairway would overwrite it; rename or delete it first"
	if owner.reconciles() {
		message = "both would write it; take it out of what its owner applies first"
	}
	return Conflict{Kind: ConflictObject, Set: w.Set, Object: w.Object, Owner: owner.String(), Message: message}, true
}

// clashes are what a definition of the plan would break of the one that is there.
func clashes(w Wanted, objects []Object) []Conflict {
	want, have := w.Defines, w.Defined
	if want.Scope != have.Scope || want.Plural != have.Plural || want.Kind != have.Kind {
		return []Conflict{{Kind: ConflictDefinition, Set: w.Set, Object: w.Object, Message: fmt.Sprintf(
			"it defines %s (%s), Fairway's defines %s (%s), which Kubernetes does not let change; its objects have to go first",
			have.Kind, have.Scope, want.Kind, want.Scope)}}
	}
	var out []Conflict
	if gone := without(have.Stored, want.Stored); len(gone) > 0 {
		out = append(out, Conflict{Kind: ConflictVersion, Set: w.Set, Object: w.Object, Message: fmt.Sprintf(
			"objects may be stored at %s, which Fairway's definition does not have, so that Kubernetes refuses it; migrate them (flux migrate) and take the version out of status.storedVersions",
			strings.Join(gone, ", "))})
	}
	for _, version := range without(have.Served, want.Served) {
		at := schema.GroupVersion{Group: have.Group, Version: version}.String()
		if users := writtenAt(objects, Kind{at, have.Kind}); len(users) > 0 {
			out = append(out, Conflict{Kind: ConflictVersion, Set: w.Set, Object: w.Object, Message: fmt.Sprintf(
				"%s would no longer be served; written at it: %s, such as %s; change their manifests first", at, count(len(users), "object"), users[0])})
		}
	}
	return out
}

func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(each string) bool { return slices.Contains(others, each) })
}

// writtenAt are the objects of a kind that were last written at its version.
func writtenAt(objects []Object, kind Kind) []string {
	var out []string
	for i := range objects {
		if o := &objects[i]; o.Kind == kind.Kind && slices.Contains(written(o), kind.APIVersion) {
			out = append(out, o.String())
		}
	}
	return out
}

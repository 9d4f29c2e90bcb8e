package observe

import (
	"maps"
	"slices"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/ownership"
)

// Ownership says whom an object belongs to. Empty fields are not known.
type Ownership = ownership.Owner

// identity is what is kept of an object's metadata.
type identity struct {
	object  event.Object
	created time.Time
	owner   event.Object // the Flux object that applied it
	own     Ownership    // as its labels say, then its pod template's
	app     string       // app.kubernetes.io/name
	runbook string
}

// identify reads an object's metadata; more are further places for labels, in order of precedence.
// Annotations hold any text, so what is read of them is cleaned as messages are.
func identify(obj Object, o *Options, more ...map[string]string) identity {
	places := append([]map[string]string{obj.GetLabels(), obj.GetAnnotations()}, more...)
	return identity{
		object:  key(obj),
		created: obj.GetCreationTimestamp().Time,
		owner:   fluxOwner(obj),
		own:     o.Labels.Of(o.Redact.Word, places...),
		app:     ownership.Lookup(o.Redact.Word, []string{labelAppName}, places...),
		runbook: ownership.Lookup(o.Redact.Clean, []string{annotationRunbook}, places...),
	}
}

// fluxOwner is the Kustomization or HelmRelease that applied the object, by the labels that Flux
// puts on everything it applies. An object that applies itself has no owner.
func fluxOwner(obj metav1.Object) event.Object {
	labels := obj.GetLabels()
	for _, by := range []struct{ group, kind string }{
		{kustomizev1.GroupVersion.Group, kustomizev1.KustomizationKind},
		{helmv2.GroupVersion.Group, helmv2.HelmReleaseKind},
	} {
		owner := event.Object{Kind: by.kind, Namespace: labels[by.group+"/namespace"], Name: labels[by.group+"/name"]}
		if owner.Name == "" {
			continue
		}
		if _, self := obj.(*kustomizev1.Kustomization); self && owner.Namespace == obj.GetNamespace() && owner.Name == obj.GetName() {
			return event.Object{}
		}
		return owner
	}
	return event.Object{}
}

// ownerDepth bounds the way up through Flux objects: a HelmRelease of a Kustomization of a
// Kustomization. Labels could make a circle.
const ownerDepth = 8

// attributes are the ownership, the revision and the runbook of an object: its own, then those of
// the Flux objects above it, then the platform's where it is in one of its namespaces, then the default.
func (o *Observer) attributes(id identity) (own Ownership, revision, runbook string) {
	own, runbook = id.own, id.runbook
	above := id.owner
	for range ownerDepth {
		f := o.flux[above]
		if f == nil {
			break
		}
		own = own.Or(f.own)
		runbook = firstOf(runbook, f.runbook)
		revision = firstOf(revision, f.rolledOutRevision())
		above = f.owner
	}
	if own.Team == "" && o.opts.Platform.owns(id.object) {
		own.Team = o.opts.Platform.Team
		return own, revision, runbook // its parts are no services that anybody releases
	}
	own = own.Or(o.opts.Default)
	if own.Service == "" && own.Team != "" {
		own.Service = id.app
		if _, isFlux := o.flux[id.object]; !isFlux {
			own.Service = firstOf(own.Service, id.object.Name)
		}
	}
	return own, revision, runbook
}

func (p Platform) owns(obj event.Object) bool {
	return p.Team != "" && slices.Contains(p.Namespaces, obj.Namespace)
}

// inherit tells everything below a Flux object again whose owner is another than was told, since the
// Flux object has other labels or has appeared after what it applied.
func (o *Observer) inherit(from event.Object, depth int, now time.Time) {
	if depth == 0 {
		return
	}
	for _, obj := range slices.SortedFunc(maps.Keys(o.owned[from]), compareObjects) {
		if rec := o.work[obj]; rec != nil {
			o.tellOwner(rec, now)
		}
		if rec := o.flux[obj]; rec != nil {
			if own, _, _ := o.attributes(rec.identity); own != rec.toldOwner {
				rec.toldOwner = own
				o.say(o.fluxDraft(rec))
			}
			o.tellEpisodes(obj, now)
			o.inherit(obj, depth-1, now)
		}
	}
}

func (o *Observer) tellOwner(rec *workRecord, now time.Time) {
	if own, _, _ := o.attributes(rec.identity); own != rec.toldOwner {
		rec.toldOwner, rec.when, rec.told = own, now, rec.data
		o.say(o.workDraft(rec))
	}
	o.tellEpisodes(topOfWorkload(rec), now)
}

// tellEpisodes says of open episodes that they are another team's.
func (o *Observer) tellEpisodes(obj event.Object, now time.Time) {
	for _, ep := range o.episodes[obj] {
		if own, _, _ := o.attributes(ep.identity); own != ep.toldOwner {
			ep.stale, ep.at = true, now
			o.tellChange(ep, now)
		}
	}
}

// belongs keeps the index of what each Flux object applied.
func (o *Observer) belongs(obj, before, after event.Object) {
	if before == after {
		return
	}
	if !before.IsZero() {
		unindex(o.owned, before, obj)
	}
	if !after.IsZero() {
		index(o.owned, after, obj)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

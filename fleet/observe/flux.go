package observe

import (
	"slices"
	"strings"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

// originAnnotation holds, on an OCI artifact, the commit that it was built from.
const originAnnotation = "org.opencontainers.image.revision"

// Bounds of what an object may hold any amount of, so that its event always fits.
const (
	maxName   = 253 // of Kubernetes' own names, in bytes
	maxListed = 64  // dependencies, images
	maxImage  = 512 // bytes
)

// fluxObject is what matters of any Flux object, in the same form for every kind.
type fluxObject struct {
	identity
	data      event.Flux // without Reason and Message
	conds     []metav1.Condition
	observed  int64 // status.observedGeneration
	suspended bool
	static    bool      // has no status, ever: a HelmRepository of type oci
	release   int       // of a HelmRelease: number of the Helm release
	action    string    // of a HelmRelease: the reason that a failure of its last action has
	fetched   time.Time // of a source: when its artifact last changed
}

// readFlux brings a Flux object into the common form. ok is false for all other kinds.
func readFlux(obj Object, o *Options) (f fluxObject, ok bool) {
	switch obj := obj.(type) {
	case *kustomizev1.Kustomization:
		f = readKustomization(obj, o)
	case *helmv2.HelmRelease:
		f = readHelmRelease(obj, o)
	case *sourcev1.GitRepository:
		f = readSource(obj, o, obj.Status.Artifact, obj.Status.Conditions, obj.Status.ObservedGeneration, obj.Spec.Suspend)
	case *sourcev1.OCIRepository:
		f = readSource(obj, o, obj.Status.Artifact, obj.Status.Conditions, obj.Status.ObservedGeneration, obj.Spec.Suspend)
	case *sourcev1.Bucket:
		f = readSource(obj, o, obj.Status.Artifact, obj.Status.Conditions, obj.Status.ObservedGeneration, obj.Spec.Suspend)
	case *sourcev1.HelmRepository:
		f = readSource(obj, o, obj.Status.Artifact, obj.Status.Conditions, obj.Status.ObservedGeneration, obj.Spec.Suspend)
		f.static = obj.Spec.Type == sourcev1.HelmRepositoryTypeOCI
	case *sourcev1.HelmChart:
		f = readSource(obj, o, obj.Status.Artifact, obj.Status.Conditions, obj.Status.ObservedGeneration, obj.Spec.Suspend)
		f.data.Source = event.Object{Kind: obj.Spec.SourceRef.Kind, Namespace: obj.Namespace, Name: obj.Spec.SourceRef.Name}
		f.data.Path = obj.Spec.Chart
	default:
		return fluxObject{}, false
	}
	f.data.Generation, f.data.Owner = obj.GetGeneration(), f.owner
	f.data.Path = o.Redact.Clean(f.data.Path)
	f.data.OriginRevision = o.Redact.Word(f.data.OriginRevision) // an annotation of an artifact, once
	f.conds = withCleanReasons(f.conds, o)
	return f, true
}

// withCleanReasons are the conditions with their reasons fit to be sent; messages are when they are sent.
func withCleanReasons(conds []metav1.Condition, o *Options) []metav1.Condition {
	for i, c := range conds {
		if reason := o.Redact.Word(c.Reason); reason != c.Reason {
			conds = slices.Clone(conds)
			conds[i].Reason = reason
		}
	}
	return conds
}

func readKustomization(obj *kustomizev1.Kustomization, o *Options) fluxObject {
	var common map[string]string
	if obj.Spec.CommonMetadata != nil {
		common = obj.Spec.CommonMetadata.Labels
	}
	f := fluxObject{
		identity: identify(obj, o, common),
		conds:    obj.Status.Conditions, observed: obj.Status.ObservedGeneration, suspended: obj.Spec.Suspend,
		data: event.Flux{
			APIVersion:        kustomizev1.GroupVersion.String(),
			AttemptedRevision: obj.Status.LastAttemptedRevision,
			AppliedRevision:   obj.Status.LastAppliedRevision,
			OriginRevision:    obj.Status.LastAppliedOriginRevision,
			Source:            reference(obj.Spec.SourceRef.Kind, obj.Spec.SourceRef.Namespace, obj.Spec.SourceRef.Name, obj),
			Path:              obj.Spec.Path,
			DependsOn:         dependencies(kustomizev1.KustomizationKind, obj.Spec.DependsOn, obj),
		},
	}
	if obj.Status.Inventory != nil {
		f.data.Inventory = len(obj.Status.Inventory.Entries)
	}
	if latest := obj.Status.History.Latest(); latest != nil {
		f.data.DurationMillis = latest.LastReconciledDuration.Milliseconds()
	}
	return f
}

func readHelmRelease(obj *helmv2.HelmRelease, o *Options) fluxObject {
	var common map[string]string
	if obj.Spec.CommonMetadata != nil {
		common = obj.Spec.CommonMetadata.Labels
	}
	f := fluxObject{
		identity: identify(obj, o, common),
		conds:    obj.Status.Conditions, observed: obj.Status.ObservedGeneration, suspended: obj.Spec.Suspend,
		data: event.Flux{
			APIVersion:        helmv2.GroupVersion.String(),
			AttemptedRevision: obj.Status.LastAttemptedRevision,
		},
	}
	for _, d := range obj.Spec.DependsOn[:min(len(obj.Spec.DependsOn), maxListed)] {
		f.data.DependsOn = append(f.data.DependsOn, reference(helmv2.HelmReleaseKind, d.Namespace, d.Name, obj))
	}
	switch {
	case obj.Spec.ChartRef != nil:
		f.data.Source = reference(obj.Spec.ChartRef.Kind, obj.Spec.ChartRef.Namespace, obj.Spec.ChartRef.Name, obj)
	case obj.Spec.Chart != nil:
		ref := obj.Spec.Chart.Spec.SourceRef
		f.data.Source, f.data.Path = reference(ref.Kind, ref.Namespace, ref.Name, obj), obj.Spec.Chart.Spec.Chart
	}
	for _, s := range obj.Status.History { // newest first; failed releases are in it too
		if s.Status == "deployed" {
			f.data.AppliedRevision, f.release = s.ChartVersion, s.Version
			break
		}
	}
	if obj.Status.Inventory != nil {
		f.data.Inventory = len(obj.Status.Inventory.Entries)
	}
	if d := obj.Status.LastAttemptedReleaseActionDuration; d != nil {
		f.data.DurationMillis = d.Milliseconds()
	}
	switch obj.Status.LastAttemptedReleaseAction {
	case helmv2.ReleaseActionInstall:
		f.action = helmv2.InstallFailedReason
	case helmv2.ReleaseActionUpgrade:
		f.action = helmv2.UpgradeFailedReason
	}
	return f
}

func readSource(obj Object, o *Options, a *meta.Artifact, conds []metav1.Condition, observed int64, suspended bool) fluxObject {
	f := fluxObject{
		identity: identify(obj, o), conds: conds, observed: observed, suspended: suspended,
		data: event.Flux{APIVersion: sourcev1.GroupVersion.String()},
	}
	if a != nil {
		f.data.AppliedRevision, f.data.AttemptedRevision = a.Revision, a.Revision
		f.data.OriginRevision = a.Metadata[originAnnotation]
		f.fetched = a.LastUpdateTime.Time
	}
	return f
}

// reference names an object that another one refers to; the zero Object when no object can have the name.
func reference(kind, namespace, name string, from metav1.Object) event.Object {
	if len(name) > maxName || len(namespace) > maxName || strings.Contains(kind+namespace+name, "/") {
		return event.Object{}
	}
	return event.Object{Kind: kind, Namespace: firstOf(namespace, from.GetNamespace()), Name: name}
}

func dependencies(kind string, refs []meta.DependencyReference, from metav1.Object) []event.Object {
	var out []event.Object
	for _, d := range refs[:min(len(refs), maxListed)] {
		out = append(out, reference(kind, d.Namespace, d.Name, from))
	}
	return out
}

func (f *fluxObject) condition(typ string) *metav1.Condition {
	return apimeta.FindStatusCondition(f.conds, typ)
}

// isSource says whether the object fetches rather than applies.
func (f *fluxObject) isSource() bool { return f.data.APIVersion == sourcev1.GroupVersion.String() }

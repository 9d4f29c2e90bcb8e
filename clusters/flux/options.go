package flux

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AnnotationDigest on every object of a distribution is the digest that it was installed from.
const AnnotationDigest = "fleet.fairway.dev/flux-digest"

// Annotations by which kustomize-controller leaves an object alone, whoever's Kustomization has it: it is
// neither applied nor pruned. A bootstrap Kustomization would else write back, or delete, its own Flux.
const (
	annotationApply = "kustomize.toolkit.fluxcd.io/ssa"   // "Ignore"
	annotationPrune = "kustomize.toolkit.fluxcd.io/prune" // "disabled"
)

// Labels that Flux puts on its own objects.
const (
	labelComponent = "app.kubernetes.io/component"
	labelPartOf    = "app.kubernetes.io/part-of"
	labelVersion   = "app.kubernetes.io/version"
)

// notifier receives the other controllers' events.
const notifier = "notification-controller"

// applier is the controller that waits until what it applied is healthy.
const applier = "kustomize-controller"

// Flags of the controllers.
const (
	eventsFlag = "--events-addr="
	gatesFlag  = "--feature-gates="
)

// cancelHealthChecks makes the applier take a newer revision at once. Else a version that never gets healthy holds up the one that
// mends it, or its own rollback, until the health check runs out.
const cancelHealthChecks = "CancelHealthCheckOnNewRevision=true"

// officialRegistries are the image prefixes that a distribution is published with.
var officialRegistries = []string{"ghcr.io/fluxcd/", "docker.io/fluxcd/", "fluxcd/"}

// Options say what of a distribution is installed.
type Options struct {
	// Components are the controllers to install. Empty: all that the distribution has.
	Components []string
	// Registry takes the place of ghcr.io/fluxcd in the controllers' images. Empty: they stay.
	Registry string
	// TakenOver says that they are there already: no flag of theirs is changed that they would be restarted for.
	TakenOver bool
}

// apply makes the objects to install; the given ones stay as they are.
func (o Options) apply(objs []*unstructured.Unstructured, v Version) ([]*unstructured.Unstructured, error) {
	if err := o.check(objs); err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, obj := range objs {
		if !o.wants(obj) {
			continue
		}
		if obj.GetKind() == "Deployment" {
			obj = obj.DeepCopy()
		} else {
			obj = withOwnMetadata(obj)
		}
		annotations := obj.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[AnnotationDigest] = v.Digest
		annotations[annotationApply], annotations[annotationPrune] = kustomizev1.IgnoreValue, kustomizev1.DisabledValue
		obj.SetAnnotations(annotations)
		if obj.GetKind() == "Deployment" {
			if err := o.editContainers(obj); err != nil {
				return nil, err
			}
		}
		out = append(out, obj)
	}
	return out, nil
}

func (o Options) check(objs []*unstructured.Unstructured) error {
	there := map[string]bool{}
	for _, obj := range objs {
		if component := obj.GetLabels()[labelComponent]; component != "" {
			there[component] = true
		}
	}
	for _, component := range o.Components {
		if !there[component] {
			return fmt.Errorf("%w: %q; there are %s", ErrComponent, component,
				strings.Join(slices.Sorted(maps.Keys(there)), ", "))
		}
	}
	return nil
}

// wants says whether an object is installed: those of the chosen components, and those that all
// components share, which carry no component's label.
func (o Options) wants(obj *unstructured.Unstructured) bool {
	component := obj.GetLabels()[labelComponent]
	return component == "" || o.installs(component)
}

func (o Options) installs(component string) bool {
	return len(o.Components) == 0 || slices.Contains(o.Components, component)
}

func (o Options) editContainers(deployment *unstructured.Unstructured) error {
	for _, field := range []string{"containers", "initContainers"} {
		at := []string{"spec", "template", "spec", field}
		containers, found, err := unstructured.NestedSlice(deployment.Object, at...)
		if err != nil {
			return fmt.Errorf("%w: Deployment %s: %w", ErrArtifactInvalid, deployment.GetName(), err)
		}
		if !found {
			continue
		}
		for _, c := range containers {
			if container, ok := c.(map[string]any); ok {
				o.editContainer(deployment.GetName(), container)
			}
		}
		if err := unstructured.SetNestedSlice(deployment.Object, containers, at...); err != nil {
			return fmt.Errorf("%w: Deployment %s: %w", ErrArtifactInvalid, deployment.GetName(), err)
		}
	}
	return nil
}

func (o Options) editContainer(deployment string, container map[string]any) {
	if image, ok := container["image"].(string); ok {
		container["image"] = rewriteImage(image, o.Registry)
	}
	args, _ := container["args"].([]any)
	if !o.installs(notifier) {
		// The controllers would retry every event against nothing.
		for i, arg := range args {
			if text, ok := arg.(string); ok && strings.HasPrefix(text, eventsFlag) {
				args[i] = eventsFlag
			}
		}
	}
	if deployment == applier && len(args) > 0 && !o.TakenOver {
		container["args"] = withGate(args, cancelHealthChecks)
	}
}

// withGate adds a feature gate to a controller's arguments; one that the distribution sets itself stays as it is.
func withGate(args []any, gate string) []any {
	name, _, _ := strings.Cut(gate, "=")
	for i, arg := range args {
		text, _ := arg.(string)
		if gates, ok := strings.CutPrefix(text, gatesFlag); ok {
			if !strings.Contains(gates, name) {
				args[i] = gatesFlag + strings.Trim(gates+","+gate, ",")
			}
			return args
		}
	}
	return append(args, gatesFlag+gate)
}

// rewriteImage moves an official image to another registry. Images of a mirror's own stay.
func rewriteImage(image, registry string) string {
	if registry == "" {
		return image
	}
	for _, prefix := range officialRegistries {
		if rest, ok := strings.CutPrefix(image, prefix); ok {
			return strings.TrimSuffix(registry, "/") + "/" + rest
		}
	}
	return image
}

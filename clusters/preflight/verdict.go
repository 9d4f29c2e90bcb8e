package preflight

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
)

// fluxManager is the field manager of kustomize-controller.
const fluxManager = "kustomize-controller"

// Marks by which objects tell Flux how to apply them; as labels or annotations, in any case.
const (
	markReconcile = "kustomize.toolkit.fluxcd.io/reconcile" // "disabled"
	markApply     = "kustomize.toolkit.fluxcd.io/ssa"       // "ignore", "ifNotPresent"
	markForce     = "kustomize.toolkit.fluxcd.io/force"     // "enabled"
)

func marked(obj metav1.Object, name, value string) bool {
	return strings.EqualFold(obj.GetLabels()[name], value) || strings.EqualFold(obj.GetAnnotations()[name], value)
}

// leftAlone says whether Flux writes nothing to an object, because of its marks.
func leftAlone(obj, live metav1.Object, there bool) bool {
	for _, each := range []metav1.Object{obj, live} {
		if marked(each, markReconcile, "disabled") || marked(each, markApply, "ignore") {
			return true
		}
	}
	return there && marked(obj, markApply, "ifNotPresent")
}

// taker is whose an object on the cluster is, if not this service's: "of service payments/ledger"; "" when it is nobody's
// that would not let go of it.
func (i identity) taker(live metav1.Object) string {
	labels := live.GetLabels()
	pointer, home := labels[labelKustomization], labels[labelKustomizationHome]
	team, service := labels[fleetv1.LabelTeam], labels[fleetv1.LabelService]
	switch {
	case pointer == i.pointer() && home == fleetv1.FluxNamespace:
		return ""
	case labels[flux.LabelSet] != "":
		return "Fairway's own"
	case team != "" && service != "" && (team != i.team || service != i.service):
		return fmt.Sprintf("of service %s/%s", team, service)
	case pointer != "":
		return fmt.Sprintf("of the Flux Kustomization %s/%s", home, pointer)
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		return fmt.Sprintf("of the HelmRelease %s/%s", labels["helm.toolkit.fluxcd.io/namespace"], labels["helm.toolkit.fluxcd.io/name"])
	}
	return ""
}

// verdict is what the answer to a dry run says of the object: nil for yes, a problem for no, and an error for no answer.
func verdict(obj target, live metav1.Object, err error) (*Problem, error) {
	var status apierrors.APIStatus
	var out Problem
	switch {
	case err == nil:
		return nil, nil
	case meta.IsNoMatchError(err):
		out = unknown(obj.Unstructured)
	case lacksRight(err):
		return nil, fmt.Errorf("the account of Fairway on the cluster may not try out %s: %w", obj.id, err)
	case !errors.As(err, &status), passing(status.Status()):
		return nil, fmt.Errorf("try out %s: %w", obj.id, err)
	case immutable(err) && (marked(obj, markForce, "enabled") || marked(live, markForce, "enabled")):
		return nil, nil // Flux deletes it and makes it anew
	default:
		out = failed(obj.id, "%s", hide(obj.Unstructured, err.Error()))
	}
	return &out, nil
}

// passing says whether an answer is about the moment, and not about the object.
func passing(status metav1.Status) bool {
	return status.Code >= 500 || status.Code == 401 || status.Code == 409 || status.Code == 429
}

func immutable(err error) bool { return strings.Contains(err.Error(), "immutable") }

// hide takes a Secret's values out of what the API server says of it.
func hide(obj *unstructured.Unstructured, text string) string {
	if obj.GetKind() != "Secret" || obj.GroupVersionKind().Group != "" {
		return text
	}
	data, _, _ := unstructured.NestedMap(obj.Object, "data")
	for _, value := range data {
		encoded, _ := value.(string)
		plain, _ := base64.StdEncoding.DecodeString(encoded)
		for _, secret := range []string{encoded, string(plain)} {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "***")
			}
		}
	}
	return text
}

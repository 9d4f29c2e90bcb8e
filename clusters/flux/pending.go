package flux

import (
	"context"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// settled are kinds that are ready as soon as they exist, or that Apply has waited for, and not worth a request.
var settled = map[string]bool{
	"CustomResourceDefinition": true, "Namespace": true,
	"ClusterRole": true, "ClusterRoleBinding": true, "Role": true, "RoleBinding": true,
	"ConfigMap": true, "Secret": true, "ServiceAccount": true, "NetworkPolicy": true, "ResourceQuota": true,
}

// pending says which objects are not ready yet, and what each still waits for.
func (a *Applier) pending(ctx context.Context, objs []*unstructured.Unstructured) ([]string, error) {
	var out []string
	for _, obj := range objs {
		if settled[obj.GetKind()] {
			continue
		}
		live, err := a.get(ctx, obj)
		if err != nil {
			return nil, err
		}
		text, err := waitsFor(live)
		if err != nil {
			return nil, fmt.Errorf("compute status of %s: %w", ssautil.FmtUnstructured(obj), err)
		}
		if text != "" {
			out = append(out, ssautil.FmtUnstructured(obj)+": "+text)
		}
	}
	return out, nil
}

// waitsFor is what keeps an object from being ready; empty when it is.
func waitsFor(live *unstructured.Unstructured) (string, error) {
	if live == nil {
		return "not there", nil
	}
	result, err := status.Compute(live)
	if err != nil {
		return "", err
	}
	if result.Status == status.CurrentStatus {
		return "", nil
	}
	return result.Message, nil
}

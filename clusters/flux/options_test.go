package flux

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func parseObjects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objs, err := ssautil.ReadObjects(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

func names(objs []*unstructured.Unstructured) []string {
	var out []string
	for _, obj := range objs {
		out = append(out, ssautil.FmtUnstructured(obj))
	}
	return out
}

func container(t *testing.T, objs []*unstructured.Unstructured, deployment string) map[string]any {
	t.Helper()
	at := slices.IndexFunc(objs, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Deployment" && o.GetName() == deployment
	})
	if at < 0 {
		t.Fatalf("no Deployment %s", deployment)
	}
	containers, _, err := unstructured.NestedSlice(objs[at].Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	return containers[0].(map[string]any)
}

func TestOptionsChooseComponents(t *testing.T) {
	all := parseObjects(t, distribution(t))
	shared := []string{
		"Namespace/flux-system", "NetworkPolicy/flux-system/allow-egress", "ResourceQuota/flux-system/critical-pods-flux-system",
		"ClusterRole/flux-view-flux-system", "ClusterRoleBinding/cluster-reconciler-flux-system",
	}
	source := []string{
		"CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io", "ServiceAccount/flux-system/source-controller",
		"Service/flux-system/source-controller", "Deployment/flux-system/source-controller",
	}
	kustomize := []string{
		"CustomResourceDefinition/kustomizations.kustomize.toolkit.fluxcd.io",
		"ServiceAccount/flux-system/kustomize-controller", "Deployment/flux-system/kustomize-controller",
	}
	for _, c := range []struct {
		name       string
		components []string
		want       []string
		err        error
	}{
		{"two bring their own and what all share", []string{"source-controller", "kustomize-controller"}, slices.Concat(shared, source, kustomize), nil},
		{"none named means all", nil, names(all), nil},
		{"one that is not there is an error", []string{"source-controller", "image-reflector-controller"}, nil, ErrComponent},
	} {
		t.Run(c.name, func(t *testing.T) {
			objs, err := Options{Components: c.components}.apply(all, Version{Digest: "sha256:x"})
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, names(objs)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			for _, obj := range objs {
				if obj.GetAnnotations()[AnnotationDigest] != "sha256:x" {
					t.Errorf("%s does not say which digest it is of", ssautil.FmtUnstructured(obj))
				}
			}
		})
	}
}

func TestControllersDoNotCallANotifierThatIsNotInstalled(t *testing.T) {
	for _, c := range []struct {
		name       string
		components []string
		want       string
	}{
		{"with it they do", []string{"source-controller", "kustomize-controller", "notification-controller"}, "--events-addr=http://notification-controller.flux-system.svc.cluster.local./"},
		{"without it they do not", []string{"source-controller", "kustomize-controller"}, "--events-addr="},
	} {
		t.Run(c.name, func(t *testing.T) {
			objs, err := Options{Components: c.components}.apply(parseObjects(t, distribution(t)), Version{})
			if err != nil {
				t.Fatal(err)
			}
			args := container(t, objs, "source-controller")["args"].([]any)
			if diff := cmp.Diff([]any{c.want, "--watch-all-namespaces=true"}, args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANewRevisionNeedNotWaitForHealthChecks(t *testing.T) {
	objs, err := Options{}.apply(parseObjects(t, distribution(t)), Version{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"kustomize-controller": true, "source-controller": false} {
		if args := container(t, objs, name)["args"].([]any); slices.Contains(args, any(gatesFlag+cancelHealthChecks)) != want {
			t.Errorf("%s: %v, want the gate: %t", name, args, want)
		}
	}
	if objs, err = (Options{TakenOver: true}).apply(parseObjects(t, distribution(t)), Version{}); err != nil {
		t.Fatal(err)
	}
	if args := container(t, objs, "kustomize-controller")["args"].([]any); slices.Contains(args, any(gatesFlag+cancelHealthChecks)) {
		t.Errorf("one that is taken over would be restarted for %v", args)
	}
	for _, c := range []struct{ name, args, want string }{
		{"no gates yet", "--log-level=info", "--log-level=info --feature-gates=CancelHealthCheckOnNewRevision=true"},
		{"others stay", "--feature-gates=A=true --x", "--feature-gates=A=true,CancelHealthCheckOnNewRevision=true --x"},
		{"an empty list", "--feature-gates=", "--feature-gates=CancelHealthCheckOnNewRevision=true"},
		{"who decided keeps it", "--feature-gates=CancelHealthCheckOnNewRevision=false", "--feature-gates=CancelHealthCheckOnNewRevision=false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var args []any
			for _, arg := range strings.Fields(c.args) {
				args = append(args, arg)
			}
			if got := fmt.Sprint(withGate(args, cancelHealthChecks)); got != "["+c.want+"]" {
				t.Errorf("arguments %s, want %s", got, c.want)
			}
		})
	}
}

func TestImagesComeFromTheRegistry(t *testing.T) {
	for _, c := range []struct{ name, image, registry, want string }{
		{"an official image moves", "ghcr.io/fluxcd/source-controller:v1.9.6", "mirror.example.com/flux", "mirror.example.com/flux/source-controller:v1.9.6"},
		{"so does one from Docker Hub", "docker.io/fluxcd/source-controller:v1.9.6", "mirror.example.com/flux", "mirror.example.com/flux/source-controller:v1.9.6"},
		{"and one without a host", "fluxcd/source-controller:v1.9.6", "mirror.example.com", "mirror.example.com/source-controller:v1.9.6"},
		{"a digest stays", "ghcr.io/fluxcd/source-controller:v1.9.6@sha256:abc", "m/", "m/source-controller:v1.9.6@sha256:abc"},
		{"without a registry it stays", "ghcr.io/fluxcd/source-controller:v1.9.6", "", "ghcr.io/fluxcd/source-controller:v1.9.6"},
		{"an image of a mirror's own stays", "registry.example.com/source-controller:v1", "ghcr.io/fluxcd", "registry.example.com/source-controller:v1"},
		{"one that only looks alike stays", "ghcr.io/fluxcd-evil/source-controller:v1", "m", "ghcr.io/fluxcd-evil/source-controller:v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, rewriteImage(c.image, c.registry)); diff != "" {
				t.Errorf("image (-want +got):\n%s", diff)
			}
		})
	}
	objs, err := Options{Registry: "mirror.example.com/flux"}.apply(parseObjects(t, distribution(t)), Version{})
	if err != nil {
		t.Fatal(err)
	}
	if got := container(t, objs, "kustomize-controller")["image"]; got != "mirror.example.com/flux/kustomize-controller:v1.9.5" {
		t.Errorf("image %v", got)
	}
}

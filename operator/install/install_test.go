package install

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func objectsOf(t *testing.T, o Options) []*unstructured.Unstructured {
	t.Helper()
	text, err := Manifests(o)
	if err != nil {
		t.Fatal(err)
	}
	objs, err := ssautil.ReadObjects(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if documents := strings.Count(string(text), "\n---\n") + 1; documents != len(objs) {
		t.Fatalf("%d documents hold %d objects", documents, len(objs))
	}
	return objs
}

// variants are the installations that tests look at.
var variants = map[string]Options{
	"plain":   {Version: "v0.1.0"},
	"storage": {Version: "v0.1.0", Registry: "127.0.0.1:5000/fairway", Storage: "10Gi", EventsURL: "tls://events.example.com:4222"},
}

func ids(objs []*unstructured.Unstructured) []string {
	var out []string
	for _, obj := range objs {
		out = append(out, ssautil.FmtUnstructured(obj))
	}
	return out
}

// read reads the object of an id into its type and refuses fields that the type does not have.
func read[T any](t *testing.T, objs []*unstructured.Unstructured, id string) T {
	t.Helper()
	var out T
	at := slices.Index(ids(objs), id)
	if at < 0 {
		t.Fatalf("no %s in %v", id, ids(objs))
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(objs[at].Object, &out, true); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return out
}

func TestManifestsHoldEverything(t *testing.T) {
	want := []string{
		"CustomResourceDefinition/environments.fleet.fairway.dev",
		"CustomResourceDefinition/fleets.fleet.fairway.dev",
		"CustomResourceDefinition/releasepolicies.fleet.fairway.dev",
		"CustomResourceDefinition/releases.fleet.fairway.dev",
		"CustomResourceDefinition/workloadclusters.fleet.fairway.dev",
		"Namespace/fairway-system",
		"ServiceAccount/fairway-system/fairway-operator",
		"ClusterRole/fairway-operator", "ClusterRoleBinding/fairway-operator",
		"Role/fairway-system/fairway-operator", "RoleBinding/fairway-system/fairway-operator",
		"ServiceAccount/fairway-system/fairway-hub",
		"ClusterRole/fairway-hub", "ClusterRoleBinding/fairway-hub",
		"RoleBinding/kube-system/fairway-hub-authentication-reader",
		"ClusterRole/fairway-view", "ClusterRole/fairway-edit", "ClusterRole/fairway-admin",
		"Role/fairway-system/fairway-connect",
		"ValidatingAdmissionPolicy/fairway-releases", "ValidatingAdmissionPolicyBinding/fairway-releases",
		"ValidatingAdmissionPolicy/fairway-releasepolicies", "ValidatingAdmissionPolicyBinding/fairway-releasepolicies",
		"Service/fairway-system/fairway-hub", "Service/fairway-system/fairway-events",
		"Deployment/fairway-system/fairway-operator",
		"Deployment/fairway-system/fairway-hub",
	}
	if diff := cmp.Diff(want, ids(objectsOf(t, variants["plain"]))); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	want[len(want)-1] = "StatefulSet/fairway-system/fairway-hub"
	if diff := cmp.Diff(want, ids(objectsOf(t, variants["storage"]))); diff != "" {
		t.Errorf("objects with storage (-want +got):\n%s", diff)
	}
}

func TestOptionsReachTheManifests(t *testing.T) {
	plain, stored := objectsOf(t, variants["plain"]), objectsOf(t, variants["storage"])
	operator := read[appsv1.Deployment](t, stored, "Deployment/fairway-system/fairway-operator").Spec.Template.Spec.Containers[0]
	if diff := cmp.Diff("127.0.0.1:5000/fairway/operator:v0.1.0", operator.Image); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"--agent-image=127.0.0.1:5000/fairway/agent:v0.1.0", "--events-url=tls://fairway-hub.fairway-system.svc:4222",
		"--leader-elect", "--health=:8081", "--metrics=:8080",
	}, operator.Args); diff != "" {
		t.Errorf("operator's arguments (-want +got):\n%s", diff)
	}
	hub := read[appsv1.Deployment](t, plain, "Deployment/fairway-system/fairway-hub")
	if diff := cmp.Diff([]string{
		"--config-dir=/etc/fairway/hub", "--store-dir=/var/lib/fairway", "--nats-listen=:4222", "--listen=:8443", "--health=:8080",
	}, hub.Spec.Template.Spec.Containers[0].Args); diff != "" {
		t.Errorf("hub's arguments (-want +got):\n%s", diff)
	}
	if hub.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || !strings.Contains(hub.Annotations["fleet.fairway.dev/storage"], "lost") {
		t.Errorf("without storage the hub is %s and says %q", hub.Spec.Strategy.Type, hub.Annotations)
	}
	kept := read[appsv1.StatefulSet](t, stored, "StatefulSet/fairway-system/fairway-hub")
	if size := kept.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage(); size.String() != "10Gi" {
		t.Errorf("the hub's volume has %s, want 10Gi", size)
	}
	if args := kept.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--max-bytes=8053063680") {
		t.Errorf("the hub runs with %v, want at most three quarters of its volume filled", args)
	}
	for name, objs := range map[corev1.ServiceType][]*unstructured.Unstructured{corev1.ServiceTypeLoadBalancer: plain, corev1.ServiceTypeClusterIP: stored} {
		service := read[corev1.Service](t, objs, "Service/fairway-system/fairway-events")
		if service.Spec.Type != name || service.Spec.Ports[0].Port != 4222 {
			t.Errorf("fairway-events is %s on %v, want %s on 4222", service.Spec.Type, service.Spec.Ports, name)
		}
	}
}

func TestServicesFindTheHub(t *testing.T) {
	for name, o := range variants {
		objs := objectsOf(t, o)
		var pod map[string]string
		var ports []corev1.ContainerPort
		if o.Storage == "" {
			template := read[appsv1.Deployment](t, objs, "Deployment/fairway-system/fairway-hub").Spec.Template
			pod, ports = template.Labels, template.Spec.Containers[0].Ports
		} else {
			template := read[appsv1.StatefulSet](t, objs, "StatefulSet/fairway-system/fairway-hub").Spec.Template
			pod, ports = template.Labels, template.Spec.Containers[0].Ports
		}
		for _, id := range []string{"Service/fairway-system/fairway-hub", "Service/fairway-system/fairway-events"} {
			service := read[corev1.Service](t, objs, id)
			for key, value := range service.Spec.Selector {
				if pod[key] != value {
					t.Errorf("%s: %s selects %s=%s, the pod has %v", name, id, key, value, pod)
				}
			}
			for _, p := range service.Spec.Ports {
				if !slices.ContainsFunc(ports, func(c corev1.ContainerPort) bool { return c.ContainerPort == p.TargetPort.IntVal }) {
					t.Errorf("%s: %s leads to port %s, which the pod has not", name, id, p.TargetPort.String())
				}
			}
		}
	}
}

// ruled are the rules of a Role or ClusterRole.
func ruled(t *testing.T, obj *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var role rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, &role, true); err != nil {
		t.Fatal(err)
	}
	return role.Rules
}

func TestNoRightIsAWildcard(t *testing.T) {
	var objs []*unstructured.Unstructured
	for _, objects := range givers {
		objs = append(objs, objects(t)...)
	}
	roles := 0
	for _, obj := range objs {
		if kind := obj.GetKind(); kind != "Role" && kind != "ClusterRole" {
			continue
		}
		roles++
		for _, rule := range ruled(t, obj) {
			if len(rule.Verbs) == 0 || len(rule.APIGroups) == 0 || len(rule.Resources) == 0 || len(rule.NonResourceURLs) > 0 {
				t.Errorf("%s has a rule that is not spelt out: %+v", ssautil.FmtUnstructured(obj), rule)
			}
			for _, text := range slices.Concat(rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames) {
				if strings.Contains(text, "*") {
					t.Errorf("%s has a wildcard: %+v", ssautil.FmtUnstructured(obj), rule)
				}
			}
			for _, verb := range []string{"escalate", "bind", "impersonate", "deletecollection", "approve", "sign"} {
				if slices.Contains(rule.Verbs, verb) && (verb != "approve" || !approvesReleases(obj, rule)) && (verb != "bind" || !bindsTeams(rule)) {
					t.Errorf("%s may %s", ssautil.FmtUnstructured(obj), verb)
				}
			}
		}
	}
	if roles != 21 {
		t.Errorf("looked at %d roles, want 21", roles)
	}
}

// bindsTeams says whether a rule lets the operator bind the ClusterRole of teams, and no other.
func bindsTeams(rule rbacv1.PolicyRule) bool {
	return slices.Equal(rule.Resources, []string{"clusterroles"}) && len(rule.ResourceNames) > 0 &&
		!slices.ContainsFunc(rule.ResourceNames, func(name string) bool { return !strings.HasPrefix(name, "fairway-team") })
}

// approvesReleases says whether a rule lets people, who have it from whoever binds the role, approve releases.
func approvesReleases(obj *unstructured.Unstructured, rule rbacv1.PolicyRule) bool {
	return obj.GetName() == "fairway-admin" && slices.Equal(rule.APIGroups, []string{"fleet.fairway.dev"}) && slices.Equal(rule.Resources, []string{"releases"})
}

func TestBindingsNameRolesThatAreThere(t *testing.T) {
	objs := objectsOf(t, variants["plain"])
	for _, obj := range objs {
		if kind := obj.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		binding := read[rbacv1.RoleBinding](t, objs, ssautil.FmtUnstructured(obj))
		role := binding.RoleRef.Kind + "/" + binding.RoleRef.Name
		if binding.RoleRef.Kind == "Role" {
			role = fmt.Sprintf("Role/%s/%s", binding.Namespace, binding.RoleRef.Name)
		}
		if role != "Role/kube-system/extension-apiserver-authentication-reader" && !slices.Contains(ids(objs), role) {
			t.Errorf("%s binds %s", ssautil.FmtUnstructured(obj), role)
		}
		for _, s := range binding.Subjects {
			if account := fmt.Sprintf("ServiceAccount/%s/%s", s.Namespace, s.Name); !slices.Contains(ids(objs), account) {
				t.Errorf("%s is for %s", ssautil.FmtUnstructured(obj), account)
			}
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		says string
	}{
		{"no version", Options{}, `version ""`},
		{"a version that is no tag", Options{Version: "(devel)"}, `"(devel)" is no tag`},
		{"a version that would be YAML", Options{Version: "v1\nkind: Secret"}, "no tag"},
		{"a registry with a scheme", Options{Version: "v1", Registry: "https://ghcr.io"}, "host[:port][/path]"},
		{"a registry with a space", Options{Version: "v1", Registry: "ghcr.io/a b"}, "host[:port][/path]"},
		{"an events URL without TLS", Options{Version: "v1", EventsURL: "nats://events:4222"}, "tls://host:port"},
		{"an events URL without a host", Options{Version: "v1", EventsURL: "tls://"}, "tls://host:port"},
		{"storage without a size", Options{Version: "v1", Storage: "plenty"}, "such as 10Gi"},
		{"storage of nothing", Options{Version: "v1", Storage: "0"}, "such as 10Gi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Manifests(c.o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

// clusterctl looks at kinds that its own label is on, and of these takes along what the other label is on. Releases stay: what came of
// them is in their status, which a move loses, and each would be released once more.
func TestClusterctlMoveTakesEveryKind(t *testing.T) {
	found := 0
	for _, obj := range objectsOf(t, variants["plain"]) {
		if obj.GetKind() != "CustomResourceDefinition" {
			continue
		}
		found++
		for _, label := range []string{"clusterctl.cluster.x-k8s.io", "clusterctl.cluster.x-k8s.io/move-hierarchy"} {
			stays := obj.GetName() == "releases.fleet.fairway.dev" && strings.HasSuffix(label, "/move-hierarchy")
			if _, ok := obj.GetLabels()[label]; ok == stays {
				t.Errorf("%s has the label %s: %t", obj.GetName(), label, ok)
			}
		}
	}
	if found == 0 {
		t.Error("there are no definitions")
	}
}

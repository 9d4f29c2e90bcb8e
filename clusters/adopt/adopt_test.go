package adopt

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
)

var wants = map[string]Want{
	"observe":                        {Mode: fleetv1.ModeObserve},
	"manage with Fairway's Flux":     {Mode: fleetv1.ModeManage, Flux: fleetv1.FluxManaged},
	"manage with the cluster's Flux": {Mode: fleetv1.ModeManage, Flux: fleetv1.FluxExisting},
}

func keys(objs []*unstructured.Unstructured) []string {
	var out []string
	for _, obj := range objs {
		out = append(out, obj.GetKind()+"/"+obj.GetNamespace()+"/"+obj.GetName())
	}
	return out
}

func TestNoRoleHasAWildcardOrWritesMoreThanItsOwn(t *testing.T) {
	writes := []string{"patch", "delete", "update", "deletecollection", "escalate", "bind", "impersonate"}
	for name, want := range wants {
		rights, err := Rights(want.Objects())
		if err != nil {
			t.Fatal(err)
		}
		for _, right := range rights {
			if right.Resources == "everything, as Kubernetes' cluster-admin" && want.Mode == fleetv1.ModeManage && want.Flux == fleetv1.FluxManaged {
				continue
			}
			if strings.Contains(right.Resources+right.Verbs, "*") {
				t.Errorf("%s: a wildcard: %+v", name, right)
			}
			everywhere := right.Where == "everywhere"
			for _, verb := range strings.Split(right.Verbs, ", ") {
				if everywhere && slices.Contains(writes, verb) && !strings.Contains(right.Resources, " named ") {
					t.Errorf("%s: changes others' objects: %+v", name, right)
				}
			}
			if everywhere && slices.Contains(strings.Split(right.Resources, ", "), "secrets") {
				t.Errorf("%s: reads Secrets everywhere: %+v", name, right)
			}
		}
	}
}

func TestSurplusIsWhatAnotherModeHad(t *testing.T) {
	manage, existing := "ClusterRoleBinding//fairway-access-manage", []string{
		"ClusterRole//fairway-access-teams", "ClusterRoleBinding//fairway-access-teams",
		"Role/flux-system/fairway-access", "RoleBinding/flux-system/fairway-access", "ClusterRole//fairway-team-try",
	}
	for name, want := range map[string][]string{
		"observe":                        append([]string{manage}, existing...),
		"manage with Fairway's Flux":     existing,
		"manage with the cluster's Flux": {manage},
	} {
		if diff := cmp.Diff(want, keys(wants[name].Surplus())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What is labelled with the account's name goes with it, as docs/security.md says how; teams' accounts go on with their roles.
func TestTeamsRolesOutliveTheAccount(t *testing.T) {
	got := map[string]string{}
	for _, obj := range wants["manage with the cluster's Flux"].Objects() {
		if strings.HasPrefix(obj.GetName(), "fairway-team") {
			got[obj.GetName()] = obj.GetLabels()["app.kubernetes.io/name"]
		}
	}
	want := map[string]string{"fairway-team": "fairway-team", "fairway-team-more": "fairway-team", "fairway-team-try": Account}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLife(t *testing.T) {
	for text, want := range map[string]time.Duration{"720h0m0s": 720 * time.Hour, "10m": MinLife, "9m": 0, "1000000h": 0, "a month": 0, "": 0, "-1h": 0} {
		got, err := Life(map[string]string{AnnotationTokenLife: text})
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if got, err := Life(nil); got != 0 || err != nil {
		t.Errorf("without the annotation: %s, %v", got, err)
	}
}

func TestAKubeconfigHasTheTokenAndNoOtherCredentials(t *testing.T) {
	admin := &rest.Config{Host: "https://acquired.example.com:6443", BearerToken: "admin", Username: "root", Password: "secret",
		TLSClientConfig: rest.TLSClientConfig{CAData: []byte("-----CA-----"), CertData: []byte("-----CERT-----"), KeyData: []byte("-----KEY-----"), ServerName: "api"}}
	first, err := Kubeconfig(admin, "one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := WithToken(first, "two")
	if err != nil {
		t.Fatal(err)
	}
	for token, kubeconfig := range map[string][]byte{"one": first, "two": second} {
		config, err := remote.Config(kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		want := rest.TLSClientConfig{CAData: []byte("-----CA-----"), ServerName: "api"}
		if config.Host != admin.Host || config.BearerToken != token || config.Username != "" || !cmp.Equal(config.TLSClientConfig, want) {
			t.Errorf("%+v", config)
		}
	}
	if _, err := WithToken([]byte("{}"), "x"); err == nil {
		t.Error("a token was put into a kubeconfig without a user")
	}
	if _, err := WithToken([]byte("\x00"), "x"); err == nil {
		t.Error("a token was put into no kubeconfig")
	}
}

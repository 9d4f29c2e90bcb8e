package team

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestValid(t *testing.T) {
	for name, says := range map[string]string{
		"payments":              "",
		"a":                     "",
		"kubernetes-lovers":     "",
		"fairwayers":            "",
		strings.Repeat("a", 58): "",
		"":                      "lower-case letters",
		"Payments":              "lower-case letters",
		"pay.ments":             "lower-case letters",
		"-payments":             "lower-case letters",
		strings.Repeat("a", 59): "more than 58 letters",
		strings.Repeat("a", 64): "lower-case letters",
		"default":               "Kubernetes' own",
		"kube-system":           "Kubernetes' own",
		"kube-node-lease":       "Kubernetes' own",
		"flux-system":           "Fairway's own",
		"fairway-system":        "Fairway's own",
		"fairway-access":        "Fairway's own",
		"fairway":               "Fairway's own",
	} {
		err := Valid(name)
		if says == "" && err != nil || says != "" && (!errors.Is(err, ErrName) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %q", name, err, says)
		}
	}
}

func TestEveryNameFitsWhereItGoes(t *testing.T) {
	longest := strings.Repeat("a", maxName)
	if err := Valid(longest); err != nil {
		t.Fatal(err)
	}
	if wrong := validation.IsValidLabelValue(SetName(longest)); len(wrong) > 0 {
		t.Errorf("the set's label: %v", wrong)
	}
	if wrong := validation.IsDNS1123Subdomain(Account(longest)); len(wrong) > 0 {
		t.Errorf("the account: %v", wrong)
	}
}

// A right that gives rights, tokens or a way into containers makes all the others meaningless.
func TestARightIsNoWayToMoreRights(t *testing.T) {
	groups := []string{"", "apps", "batch", "autoscaling", "networking.k8s.io", "policy"}
	verbs := []string{"get", "list", "watch", "create", "patch", "delete"}
	for _, obj := range Roles() {
		rules, _, _ := unstructured.NestedSlice(obj.Object, "rules")
		for _, each := range rules {
			rule := each.(map[string]any)
			for _, group := range rule["apiGroups"].([]any) {
				if !slices.Contains(groups, group.(string)) {
					t.Errorf("%s: group %q", obj.GetName(), group)
				}
			}
			for _, resource := range rule["resources"].([]any) {
				if strings.ContainsAny(resource.(string), "/*") || slices.Contains([]string{"namespaces", "resourcequotas", "limitranges", "endpoints"}, resource.(string)) {
					t.Errorf("%s: resource %q", obj.GetName(), resource)
				}
			}
			for _, verb := range rule["verbs"].([]any) {
				if !slices.Contains(verbs, verb.(string)) {
					t.Errorf("%s: verb %q", obj.GetName(), verb)
				}
			}
		}
	}
}

func TestBindingsAreForTheTeamsAccountInTheTeamsNamespace(t *testing.T) {
	type bound struct{ Namespace, Role, Of string }
	var got []bound
	for _, obj := range append(Objects("payments"), ForTrying("payments", "fairway-access", "fairway-access")) {
		if obj.GetKind() == "ClusterRoleBinding" || obj.GetLabels()["fleet.fairway.dev/team"] != "payments" {
			t.Errorf("%v", obj)
		}
		role, isBinding, _ := unstructured.NestedString(obj.Object, "roleRef", "name")
		if !isBinding {
			continue
		}
		for _, each := range obj.Object["subjects"].([]any) {
			subject := each.(map[string]any)
			got = append(got, bound{obj.GetNamespace(), role, subject["namespace"].(string) + "/" + subject["name"].(string)})
		}
	}
	want := []bound{
		{"payments", "fairway-team", "flux-system/fairway-team-payments"},
		{"payments", "fairway-team-more", "flux-system/fairway-team-payments"},
		{"payments", "fairway-team-try", "fairway-access/fairway-access"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

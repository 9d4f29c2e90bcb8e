package install

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/clusters/team"
)

const securityPath = "../../docs/security.md"

// givers make the objects that give rights: whatever Fairway installs, anywhere. A new account is one
// line here and its rows on the page.
var givers = []func(t *testing.T) []*unstructured.Unstructured{
	func(t *testing.T) []*unstructured.Unstructured { return objectsOf(t, variants["plain"]) },
	agentObjects,
	func(*testing.T) []*unstructured.Unstructured { return adopt.Want{Mode: fleetv1.ModeObserve}.Objects() },
	func(*testing.T) []*unstructured.Unstructured { return append(team.Roles(), team.Objects(someTeam)...) },
	func(*testing.T) []*unstructured.Unstructured {
		objs := adopt.Want{Mode: fleetv1.ModeManage, Flux: fleetv1.FluxExisting}.Objects()
		return append(append(objs, team.Objects(someTeam)...), team.ForTrying(someTeam, adopt.Namespace, adopt.Account))
	},
}

// someTeam stands for a team's name on the page.
const someTeam = "<team>"

func agentObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objs, err := agent.Config{ClusterID: "c1", Environment: "dev", Image: "x", EventsURL: "tls://x:4222", Credentials: []byte("x")}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// role names a Role, or a ClusterRole in no namespace.
type role struct{ namespace, name string }

// kubernetesRoles are Kubernetes' own roles that Fairway binds, with their rules.
var kubernetesRoles = map[role][]rbacv1.PolicyRule{
	{"kube-system", "extension-apiserver-authentication-reader"}: {{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"extension-apiserver-authentication"},
		Verbs: []string{"get", "list", "watch"},
	}},
}

// grant is one thing that somebody may do, "fairway-hub everywhere: create tokenreviews.authentication.k8s.io".
type grant string

// grantsOf spells out what rules let the holder do in a place.
func grantsOf(holder, where string, rules []rbacv1.PolicyRule) []grant {
	var out []grant
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				what := strings.TrimSuffix(resource+"."+group, ".")
				for _, verb := range rule.Verbs {
					out = append(out, grantOf(holder, where, verb, what, rule.ResourceNames)...)
				}
			}
		}
	}
	return out
}

func grantOf(holder, where, verb, what string, names []string) []grant {
	base := fmt.Sprintf("%s %s: %s %s", holder, where, verb, what)
	if len(names) == 0 {
		return []grant{grant(base)}
	}
	var out []grant
	for _, name := range names {
		out = append(out, grant(base+" named "+name))
	}
	return out
}

// granted is everything that objects give: the rules of roles to the accounts that they are bound to;
// the rules of a role that is bound to nobody to whom it will be.
func granted(t *testing.T, objs []*unstructured.Unstructured) []grant {
	t.Helper()
	roles, bound := rolesOf(t, objs), map[role]bool{}
	var out []grant
	for _, obj := range objs {
		if kind := obj.GetKind(); kind != "RoleBinding" && kind != "ClusterRoleBinding" {
			continue
		}
		var binding rbacv1.RoleBinding // a ClusterRoleBinding has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, &binding, true); err != nil {
			t.Fatal(err)
		}
		of := role{name: binding.RoleRef.Name}
		if binding.RoleRef.Kind == "Role" {
			of.namespace = binding.Namespace
		}
		rules, known := roles[of]
		if bound[of] = true; !known {
			t.Errorf("%s %s binds %v, which nobody knows the rules of", obj.GetKind(), obj.GetName(), of)
		}
		for _, subject := range binding.Subjects {
			if subject.Kind != "ServiceAccount" {
				t.Errorf("%s %s is for the %s %s, want service accounts only", obj.GetKind(), obj.GetName(), subject.Kind, subject.Name)
			}
			out = append(out, grantsOf(subject.Name, cmp.Or(binding.Namespace, "everywhere"), rules)...)
		}
	}
	for of, rules := range roles {
		if _, foreign := kubernetesRoles[of]; !bound[of] && !foreign {
			out = append(out, grantsOf(of.name, cmp.Or(of.namespace, "where bound"), rules)...)
		}
	}
	return out
}

// rolesOf are the rules of the roles among objs, and of Kubernetes' own. An aggregated one has those of the others that it
// selects.
func rolesOf(t *testing.T, objs []*unstructured.Unstructured) map[role][]rbacv1.PolicyRule {
	t.Helper()
	out := maps.Clone(kubernetesRoles)
	for _, obj := range objs {
		if kind := obj.GetKind(); kind == "Role" || kind == "ClusterRole" {
			out[role{obj.GetNamespace(), obj.GetName()}] = append(ruled(t, obj), aggregated(t, obj, objs)...)
		}
	}
	return out
}

func aggregated(t *testing.T, obj *unstructured.Unstructured, among []*unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var of rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &of); err != nil {
		t.Fatal(err)
	}
	var out []rbacv1.PolicyRule
	for i := 0; of.AggregationRule != nil && i < len(of.AggregationRule.ClusterRoleSelectors); i++ {
		selector, err := metav1.LabelSelectorAsSelector(&of.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range among {
			if other.GetKind() == "ClusterRole" && other.GetName() != obj.GetName() && selector.Matches(labels.Set(other.GetLabels())) {
				out = append(out, ruled(t, other)...)
			}
		}
	}
	return out
}

// columns of a table of rights: holder, where, API group, resources, verbs, why.
const columns = 6

var (
	rightsHead = regexp.MustCompile(`^\| (account|role) \| where \| API group \| resources \| verbs \| why \|$`)
	quoted     = regexp.MustCompile("`([^`]*)`")
)

// documented is every right in the tables of a page. What a row leaves open is an error.
func documented(page string) (grants []grant, errs []error) {
	inside := false
	for number, line := range strings.Split(page, "\n") {
		switch {
		case rightsHead.MatchString(line):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			row, err := readRow(line)
			if err != nil {
				errs = append(errs, fmt.Errorf("line %d: %w", number+1, err))
			}
			grants = append(grants, row...)
		}
	}
	return grants, errs
}

func readRow(line string) ([]grant, error) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != columns {
		return nil, fmt.Errorf("%d cells, want %d", len(cells), columns)
	}
	for i, cell := range cells {
		if cells[i] = strings.TrimSpace(cell); cells[i] == "" {
			return nil, fmt.Errorf("cell %d is empty", i+1)
		}
	}
	if rights := strings.Join(cells[:5], ""); strings.Contains(rights, "*") {
		return nil, fmt.Errorf("a wildcard: %s", rights)
	}
	resources, names, _ := strings.Cut(cells[3], " named ")
	rule := rbacv1.PolicyRule{APIGroups: words(strings.ReplaceAll(cells[2], "core", "``")), Resources: words(resources), ResourceNames: words(names), Verbs: words(cells[4])}
	holder := words(cells[0])
	if len(holder) != 1 || len(rule.APIGroups) == 0 || len(rule.Resources) == 0 || len(rule.Verbs) == 0 {
		return nil, fmt.Errorf("names no single holder, or no group, resource or verb: %s", line)
	}
	return grantsOf(holder[0], strings.Trim(cells[1], "`"), []rbacv1.PolicyRule{rule}), nil
}

// words are what is in backquotes in a cell.
func words(cell string) []string {
	var out []string
	for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
		out = append(out, match[1])
	}
	return out
}

func TestEveryRightIsOnTheSecurityPage(t *testing.T) {
	page, err := os.ReadFile(securityPath)
	if err != nil {
		t.Fatal(err)
	}
	said, errs := documented(string(page))
	for _, err := range errs {
		t.Errorf("%s %v", securityPath, err)
	}
	var given []grant
	for _, objects := range givers {
		given = append(given, granted(t, objects(t))...)
	}
	slices.Sort(said)
	slices.Sort(given)
	for i := 1; i < len(said); i++ {
		if said[i] == said[i-1] {
			t.Errorf("the page says twice: %s", said[i])
		}
	}
	if diff := gocmp.Diff(slices.Compact(given), slices.Compact(said)); diff != "" {
		t.Errorf("rights (-manifests +%s):\n%s", securityPath, diff)
	}
}

func TestTablesOfRightsAreReadStrictly(t *testing.T) {
	const head = "| account | where | API group | resources | verbs | why |\n|---|---|---|---|---|---|\n"
	for _, c := range []struct {
		name, row string
		want      []grant
		says      string
	}{
		{
			name: "every group, resource and verb is a right of its own", row: "| `a` | everywhere | core, `apps` | `x`, `y/z` | `get`, `list` | because |",
			want: []grant{
				"a everywhere: get x", "a everywhere: list x", "a everywhere: get y/z", "a everywhere: list y/z",
				"a everywhere: get x.apps", "a everywhere: list x.apps", "a everywhere: get y/z.apps", "a everywhere: list y/z.apps",
			},
		},
		{
			name: "names narrow it, and so does a namespace", row: "| `a` | `n` | core | `x` named `b`, `c` | `get` | because |",
			want: []grant{"a n: get x named b", "a n: get x named c"},
		},
		{name: "a row must say why", row: "| `a` | everywhere | core | `x` | `get` | |", says: "line 3: cell 6 is empty"},
		{name: "a wildcard is no right", row: "| `a` | everywhere | core | `x` | `*` | because |", says: "line 3: a wildcard"},
		{name: "a verb that is not spelt out is none", row: "| `a` | everywhere | core | `x` | read | because |", says: "no group, resource or verb"},
		{name: "a cell too few", row: "| `a` | everywhere | core | `x` | `get` |", says: "5 cells, want 6"},
		{name: "other tables are none of rights", row: "\n| route | verb, resource |\n|---|---|\n| `/x` | `get` |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, errs := documented(head + c.row)
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
			if text := fmt.Sprint(errs); (c.says == "") != (len(errs) == 0) || !strings.Contains(text, c.says) {
				t.Errorf("errors %s, want %q", text, c.says)
			}
		})
	}
}

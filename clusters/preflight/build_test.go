package preflight

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// values are what every cluster has.
var values = map[string]string{
	fleetv1.ValueName: "prod-aws-eu1", fleetv1.ValueEnvironment: "prod", fleetv1.ValueCloud: "AWS",
	fleetv1.ValueRegion: "eu-west-1", fleetv1.ValueAccount: "1234", "REPLICAS": "3", "LINES": "a\nb",
}

// pairs are files by path: name, content, name, content, …
func pairs(texts ...string) map[string][]byte {
	out := map[string][]byte{}
	for i := 0; i+1 < len(texts); i += 2 {
		out[texts[i]] = []byte(texts[i+1])
	}
	return out
}

func config(name, more string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n" + more
}

func build(files map[string][]byte) ([]*unstructured.Unstructured, []Problem) {
	return Build(files, values, "payments", "ledger", "main-4f1c9d2-a81b")
}

// built is what objects there are, "ConfigMap/payments/a {k=v}", or the problems.
func built(files map[string][]byte) (objs, problems []string) {
	made, found := build(files)
	for _, obj := range made {
		text := fmt.Sprintf("%s/%s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName())
		data, _, _ := unstructured.NestedStringMap(obj.Object, "data")
		for _, key := range slices.Sorted(maps.Keys(data)) {
			text += fmt.Sprintf(" %s=%s", key, data[key])
		}
		objs = append(objs, text)
	}
	for _, each := range found {
		problems = append(problems, each.Reason+": "+each.String())
	}
	return objs, problems
}

func TestBuildIsWhatFluxApplies(t *testing.T) {
	const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${REPLICAS}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}], env: [{name: CLOUD, value: "${CLUSTER_CLOUD}"}]}]}
status: {replicas: 9}
`
	objs, problems := build(pairs("web.yaml", deployment))
	if len(problems) > 0 || len(objs) != 1 {
		t.Fatal(objs, problems)
	}
	want := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "payments", "creationTimestamp": nil, "labels": map[string]any{
			"app": "web", "fleet.fairway.dev/team": "payments", "fleet.fairway.dev/service": "ledger", "fleet.fairway.dev/artifact": "main-4f1c9d2-a81b",
			"kustomize.toolkit.fluxcd.io/name": "payments.ledger", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
		}},
		"spec": map[string]any{
			"replicas": int64(3), "strategy": map[string]any{}, "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
				"spec": map[string]any{"containers": []any{map[string]any{
					"name": "web", "image": "web:1", "resources": map[string]any{},
					"ports": []any{map[string]any{"containerPort": int64(80), "protocol": "TCP"}},
					"env":   []any{map[string]any{"name": "CLOUD", "value": "AWS"}},
				}}},
			},
		},
	}
	if diff := cmp.Diff(want, objs[0].Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBuild(t *testing.T) {
	a, b := config("a", ""), config("b", "")
	for name, c := range map[string]struct {
		files map[string][]byte
		want  []string
	}{
		"every YAML file counts, in folders, too":               {pairs("a.yaml", a, "x/y/b.yml", b, "README.md", "# x", "c.json", "{"), []string{"ConfigMap/payments/a", "ConfigMap/payments/b"}},
		"every document counts":                                 {pairs("a.yaml", "---\n"+a+"---\n# nothing\n---\n"+b+"---\n"), []string{"ConfigMap/payments/a", "ConfigMap/payments/b"}},
		"lines may end as on Windows":                           {pairs("a.yaml", strings.ReplaceAll(a+"---\n"+b, "\n", "\r\n")), []string{"ConfigMap/payments/a", "ConfigMap/payments/b"}},
		"a List is what is in it":                               {pairs("a.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"), []string{"ConfigMap/payments/a", "ConfigMap/payments/b"}},
		"a kustomization file says what counts":                 {pairs("kustomization.yaml", "resources: [a.yaml]", "a.yaml", a, "b.yaml", b), []string{"ConfigMap/payments/a"}},
		"a folder with one counts as a whole":                   {pairs("a.yaml", a, "x/kustomization.yml", "namePrefix: x-\nresources: [b.yaml]", "x/b.yaml", b, "x/z/c.yaml", "not: listed"), []string{"ConfigMap/payments/a", "ConfigMap/payments/x-b"}},
		"a kind of file that has no ending":                     {pairs("x/Kustomization", "resources: [b.yaml]", "x/b.yaml", b), []string{"ConfigMap/payments/b"}},
		"a base beside it":                                      {pairs("kustomization.yaml", "resources: [base, ./a.yaml]\nnameSuffix: -1", "base/kustomization.yaml", "resources: [b.yaml, ../c.yaml]", "a.yaml", a, "base/b.yaml", b, "c.yaml", config("c", "")), []string{"ConfigMap/payments/b-1", "ConfigMap/payments/c-1", "ConfigMap/payments/a-1"}},
		"a component and patches":                               {pairs("kustomization.yaml", "resources: [a.yaml]\ncomponents: [c]\npatches:\n- path: p.yaml\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"path\": \"/data/json\", \"value\": \"1\"}]'\n", "a.yaml", a, "p.yaml", config("a", "data: {merge: '1'}"), "c/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- patch: |\n    "+strings.ReplaceAll(config("a", "data: {component: '1'}"), "\n", "\n    ")), []string{"ConfigMap/payments/a component=1 json=1 merge=1"}},
		"patches of the old kind":                               {pairs("kustomization.yaml", "resources: [a.yaml]\npatchesStrategicMerge:\n- p.yaml\n- |-\n  "+strings.ReplaceAll(config("a", "data: {inline: '1'}"), "\n", "\n  "), "a.yaml", a, "p.yaml", config("a", "data: {file: '1'}")), []string{"ConfigMap/payments/a file=1 inline=1"}},
		"generators of ConfigMaps":                              {pairs("kustomization.yaml", "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator:\n- {name: g, files: [x/a.txt, k=b@2x.bin], literals: [l=1], envs: [e.env]}\n", "x/a.txt", "A", "b@2x.bin", "B", "e.env", "E=2"), []string{"ConfigMap/payments/g E=2 a.txt=A k=B l=1"}},
		"a field of the root's file that is unknown is no more": {pairs("kustomization.yaml", "resources: [a.yaml]\nresuorces: [b.yaml]", "a.yaml", a), []string{"ConfigMap/payments/a"}},
		"the team's namespace may be named":                     {pairs("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: payments}"), []string{"ConfigMap/payments/a"}},
		"a namespace that the root's file sets":                 {pairs("kustomization.yaml", "namespace: payments\nresources: [a.yaml]", "a.yaml", a), []string{"ConfigMap/payments/a"}},
		"values are filled in":                                  {pairs("a.yaml", config("a-${CLUSTER_REGION}", "data: {k: \"${CLUSTER_NAME} ${NOPE:=default} $${CLUSTER_NAME} ${CLUSTER_CLOUD,,}\"}")), []string{"ConfigMap/payments/a-eu-west-1 k=prod-aws-eu1 default ${CLUSTER_NAME} aws"}},
		"a value's line ends are taken out":                     {pairs("a.yaml", config("a", "data: {k: \"${LINES}\"}")), []string{"ConfigMap/payments/a k=ab"}},
		"what is marked is left as it is":                       {pairs("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {k: \"${NOPE} ${@}\"}"), []string{"ConfigMap/payments/a k=${NOPE} ${@}"}},
		"a variable in a comment is none":                       {pairs("a.yaml", a+"# ${NOPE}\n"), []string{"ConfigMap/payments/a"}},
		"aliases are written out":                               {pairs("a.yaml", config("a", "data: {x: &x one, y: *x}")), []string{"ConfigMap/payments/a x=one y=one"}},
		"what Flux leaves out is left out":                      {pairs("a.yaml", a, ".sops.yaml", "creation_rules: []", ".github/workflows/x.yaml", "on: push", "logo.png", "x"), []string{"ConfigMap/payments/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			objs, problems := built(c.files)
			if diff := cmp.Diff(c.want, objs); diff != "" || len(problems) > 0 {
				t.Errorf("problems %q (-want +got):\n%s", problems, diff)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	a := config("a", "")
	for name, c := range map[string]struct {
		files map[string][]byte
		want  []string
	}{
		"a file that is no YAML, by its line": {pairs("a.yaml", a+"---\n\n"+config("b", "data: {")), []string{"CheckFailed: a.yaml:11: it cannot be read as YAML: did not find expected node content"}},
		"a key that is there twice":           {pairs("a.yaml", a+"kind: Secret\n"), []string{"CheckFailed: a.yaml:5: it cannot be read as YAML: mapping key \"kind\" already defined at line 2"}},
		"a number that is none":               {pairs("a.yaml", a+"data: {k: !!int x}\n"), []string{"CheckFailed: a.yaml: it cannot be read as YAML: cannot decode !!str `x` as a !!int"}},
		"what is no object":                   {pairs("a.yaml", "a: 1"), []string{"CheckFailed: a.yaml:1: it is no Kubernetes object: it has no apiVersion"}},
		"a kustomization file that is none":   {pairs("kustomization.yaml", "resources: a.yaml", "a.yaml", a), []string{"CheckFailed: kustomization.yaml: it is no kustomization file: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field Kustomization.resources of type []string"}},
		"a file that is not there":            {pairs("kustomization.yaml", "resources: [b.yaml]", "a.yaml", a), []string{"CheckFailed: kustomization.yaml: resources: there is no such file or folder in the artifact: b.yaml"}},
		"a path that climbs out":              {pairs("x/kustomization.yaml", "resources: [../../secrets.yaml]", "a.yaml", a), []string{"CheckFailed: x/kustomization.yaml: resources: ../../secrets.yaml leads out of the artifact"}},
		"a path from the root":                {pairs("kustomization.yaml", "configMapGenerator: [{name: x, files: [/etc/passwd]}]"), []string{"CheckFailed: kustomization.yaml: configMapGenerator: /etc/passwd leads out of the artifact"}},
		"what is fetched": {pairs("kustomization.yaml", "resources: ['https://example.com/a.yaml', 'github.com/x/y//z?ref=v1', 'git@example.com/x', 'ssh://x@y/z']\npatches: [{path: 'HTTP://example.com/p.yaml'}]\ncomponents: ['GitHub.com/x/y']\n"), []string{
			"CheckFailed: kustomization.yaml: components: GitHub.com/x/y is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: patches: HTTP://example.com/p.yaml is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: resources: git@example.com/x is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: resources: github.com/x/y//z?ref=v1 is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: resources: https://example.com/a.yaml is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: resources: ssh://x@y/z is not in the artifact, which must hold all that it is built of",
		}},
		"what is fetched, even if the artifact has such a path": {pairs("kustomization.yaml", "resources: ['http:/x/a.yaml', a@b/c]", "http:/x/a.yaml", a, "a@b/c/kustomization.yaml", "resources: []"), []string{
			"CheckFailed: kustomization.yaml: resources: a@b/c is not in the artifact, which must hold all that it is built of",
			"CheckFailed: kustomization.yaml: resources: http:/x/a.yaml is not in the artifact, which must hold all that it is built of",
		}},
		"plugins and charts": {pairs("kustomization.yaml", "transformers: [t.yaml]\nhelmCharts: [{name: x}]\ncrds: [c.json]\nopenapi: {path: o.json}", "t.yaml", "{}"), []string{
			"CheckFailed: kustomization.yaml: an artifact cannot have crds; render what they make before the artifact is pushed",
			"CheckFailed: kustomization.yaml: an artifact cannot have helmCharts; render what they make before the artifact is pushed",
			"CheckFailed: kustomization.yaml: an artifact cannot have openapi; render what they make before the artifact is pushed",
			"CheckFailed: kustomization.yaml: an artifact cannot have transformers; render what they make before the artifact is pushed",
		}},
		"a folder without a kustomization file":        {pairs("kustomization.yaml", "resources: [x]", "x/a.yaml", a), []string{"CheckFailed: kustomization.yaml: resources: the folder x has no kustomization.yaml"}},
		"a file that Flux leaves out":                  {pairs("kustomization.yaml", "configMapGenerator: [{name: x, files: [logo.png]}]", "logo.png", "x"), []string{"CheckFailed: kustomization.yaml: configMapGenerator: logo.png is a file that Flux leaves out of what it fetches; give it another name"}},
		"a file that says what Flux leaves out":        {pairs("x/.sourceignore", "*.yaml", "a.yaml", a), []string{"CheckFailed: x/.sourceignore: an artifact cannot say which of its files Flux leaves out; take the file out of it, and those that it names"}},
		"a path that is none":                          {pairs("../a.yaml", a), []string{`CheckFailed: "../a.yaml" is no path of a file in the artifact`}},
		"a file that is a folder":                      {pairs("a.yaml", a, "a.yaml/b.yaml", a), []string{"CheckFailed: a.yaml is a file and a folder"}},
		"nothing":                                      {pairs("README.md", "# x"), []string{"CheckFailed: there is no YAML file in it"}},
		"an object that is there twice":                {pairs("a.yaml", a, "b.yaml", a), []string{"CheckFailed: kustomize cannot build it: accumulating resources: merging resources from './b.yaml': may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.[noNs]"}},
		"an object that is twice there once filled in": {pairs("a.yaml", config("a-prod", ""), "b.yaml", config("a-${CLUSTER_ENVIRONMENT}", "")), []string{"CheckFailed: ConfigMap/payments/a-prod: it is in the artifact twice"}},
		"a folder that refers to itself":               {pairs("kustomization.yaml", "resources: [x]", "x/kustomization.yaml", "resources: [../y]", "y/kustomization.yaml", "resources: [../x]"), []string{"CheckFailed: kustomization.yaml: it refers to more than 200 folders, or a folder refers to itself"}},
		"an alias that contains itself":                {pairs("a.yaml", a+"data: &x\n  k: *x\n"), []string{"CheckFailed: a.yaml:6: its aliases, or it and the files before it, come to too much; write them out, or make it smaller"}},
		"an alias that contains itself, in a patch":    {pairs("kustomization.yaml", "resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n    data: &x\n      k: *x\n", "a.yaml", a), []string{"CheckFailed: kustomization.yaml: patches: line 2 of a patch: its aliases, or it and the files before it, come to too much; write them out, or make it smaller"}},
		"aliases that multiply":                        {pairs("a.yaml", bomb(8)), []string{"CheckFailed: a.yaml:11: its aliases, or it and the files before it, come to too much; write them out, or make it smaller"}},
		"more objects than are bounded":                {pairs("a.yaml", strings.Repeat(a+"---\n", maxObjects+1)), []string{"CheckFailed: a.yaml:2501: the artifact has more than 500 objects"}},
		"a variable that the cluster lacks, by its places": {pairs("a.yaml", config("a", "data:\n  k: ${NOPE}\n  l: ${NOPE} ${NOR}\n"), "b.yaml", config("b", "data: {k: \"${NOPE}\"}")), []string{
			"VariableMissing: ConfigMap/payments/a: ${NOPE} has no value on the cluster, and no default: a.yaml:6, b.yaml:5",
			"VariableMissing: ConfigMap/payments/a: ${NOR} has no value on the cluster, and no default: a.yaml:7",
		}},
		"a variable that comes of no file":  {pairs("kustomization.yaml", "resources: [a.yaml]\nreplacements:\n- source: {kind: ConfigMap, name: a, fieldPath: data.x}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.y]\n    options: {create: true}\n", "a.yaml", config("a", "data: {x: \"${CLUSTER_NAME:-$\"}")+"\n"), []string{"CheckFailed: ConfigMap/payments/a: a.yaml:5: an expression that Flux's substitution cannot read (unable to parse substitution within function); write $${ for what it must leave alone"}},
		"what is no object once filled in":  {pairs("a.yaml", config("a", "data: ${CLUSTER_NAME/prod-aws-eu1/[}")), []string{"CheckFailed: ConfigMap/payments/a: with its variables filled in, it cannot be read as YAML: did not find expected ',' or ']'"}},
		"another team's namespace":          {pairs("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: checkout}"), []string{"OutsideTeam: ConfigMap/checkout/a: it is for namespace checkout; leave the namespace out, or make it the team's, payments"}},
		"another team's by a kustomization": {pairs("kustomization.yaml", "namespace: checkout\nresources: [a.yaml]", "a.yaml", a), []string{"OutsideTeam: ConfigMap/checkout/a: it is for namespace checkout; leave the namespace out, or make it the team's, payments"}},
		"a namespace that a value names":    {pairs("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: \"${CLUSTER_NAME}\"}"), []string{"OutsideTeam: ConfigMap/${CLUSTER_NAME}/a: it is for namespace ${CLUSTER_NAME}; leave the namespace out, or make it the team's, payments"}},
		"an object of the whole cluster":    {pairs("a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"), []string{"OutsideTeam: Namespace/a: a Namespace is of the whole cluster, which is the platform's; a layer of the platform can have it", "OutsideTeam: ClusterRole/a: a ClusterRole is of the whole cluster, which is the platform's; a layer of the platform can have it"}},
		"a Secret that only a key opens":    {pairs("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {mac: x}\n"), []string{"CheckFailed: Secret/payments/a: it is encrypted by SOPS, and Flux has no key for services; have the Secret made on the cluster, by a tool that fetches secrets"}},
	} {
		t.Run(name, func(t *testing.T) {
			objs, problems := built(c.files)
			if diff := cmp.Diff(c.want, problems); diff != "" || len(objs) > 0 {
				t.Errorf("objects %q (-want +got):\n%s", objs, diff)
			}
		})
	}
}

func TestANamespaceIsHeldAgainstTheTeamsOnceMoreWhenValuesAreFilledIn(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": "checkout"}}}
	want := []Problem{{Object: "ConfigMap/checkout/a", Reason: fleetv1.ReasonOutsideTeam, Message: "it is in namespace checkout, and the team's is payments"}}
	if diff := cmp.Diff(want, identity{team: "payments"}.check([]*unstructured.Unstructured{obj})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// bomb is an object whose aliases come to ten to the power of levels.
func bomb(levels int) string {
	text := config("a", "data:\n  k0: &k0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < levels; i++ {
		text += fmt.Sprintf("  k%d: &k%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*k%d, ", i-1), 10), ", "))
	}
	return text
}

func TestAValueWithANameThatFluxRefusesIsAProblem(t *testing.T) {
	_, problems := Build(pairs("a.yaml", config("a", "")), map[string]string{"A-B": "x"}, "payments", "ledger", "x")
	want := []Problem{{Reason: fleetv1.ReasonCheckFailed, Message: `the cluster has a value whose name Flux does not take: "A-B"`}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOneRenderServesEveryCluster(t *testing.T) {
	rendered, problems := Render(pairs("a.yaml", config("a", "data: {k: \"${CLOUD}\"}")), "payments", "ledger", "x")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, cloud := range []string{"AWS", "Azure"} {
		objs, problems := rendered.Objects(map[string]string{"CLOUD": cloud})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if got, _, _ := unstructured.NestedString(objs[0].Object, "data", "k"); got != cloud {
			t.Errorf("%s: %q", cloud, got)
		}
	}
}

// A new field of kustomization files may fetch something, or read a file: it is to be looked at before it is let through.
func TestEveryFieldOfAKustomizationFileIsKnown(t *testing.T) {
	harmless := []string{
		"TypeMeta", "MetaData", "NamePrefix", "NameSuffix", "Namespace", "CommonLabels", "Labels", "CommonAnnotations", "Images", "ImageTags",
		"Replicas", "Vars", "SortOptions", "GeneratorOptions", "BuildMetadata",
	}
	var open []string
	of := reflect.TypeFor[types.Kustomization]()
	for i := range of.NumField() {
		field := of.Field(i)
		k := types.Kustomization{}
		fill(reflect.ValueOf(&k).Elem().Field(i))
		refused := slices.Contains(slices.Collect(maps.Values(unsupported(&k))), true)
		followed := slices.ContainsFunc(references(&k), func(r reference) bool { return len(r.to) > 0 })
		if !refused && !followed && !slices.Contains(harmless, field.Name) {
			open = append(open, field.Name)
		}
	}
	if len(open) > 0 {
		t.Errorf("nobody looks at %v", open)
	}
}

// fill gives a value, and all within it, something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	}
}

// Whatever is in the files, Build says what is wrong, or makes objects of the team.
func FuzzBuild(f *testing.F) {
	f.Add("resources: [a.yaml]", config("a", "data: {k: \"${CLUSTER_NAME}\"}"), config("a", "data: {x: &x one, y: *x}"))
	f.Add("resources: [b]\npatches:\n- path: a.yaml\n- patch: |-\n    - op: add\n      path: /data\n      value: {a: b}\n  target: {kind: ConfigMap}\n", config("b", ""), config("b", ""))
	f.Add("configMapGenerator: [{name: x, files: [a.yaml], envs: [a.yaml]}]\nnamePrefix: p-\nnamespace: other", "a=b", "")
	f.Add("components: [b]\nresources: ['https://example.com/x', ../x, a.yaml]", "---\n--- x\n", "kind: List\nitems: [a, [b]]")
	f.Add("", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: x}, stringData: {a: b}}]", bomb(3))
	f.Fuzz(func(t *testing.T, kustomization, one, two string) {
		files := pairs("a.yaml", one, "b/kustomization.yaml", "resources: [c.yaml]", "b/c.yaml", two)
		if kustomization != "" {
			files["kustomization.yaml"] = []byte(kustomization)
		}
		objs, problems := build(files)
		if (len(objs) == 0) == (len(problems) == 0) {
			t.Fatalf("%d objects, problems %v", len(objs), problems)
		}
		for _, obj := range objs {
			if obj.GetNamespace() != "payments" || obj.GetLabels()[fleetv1.LabelService] != "ledger" || obj.GetName() == "" {
				t.Errorf("not the service's: %v", obj)
			}
		}
		for _, each := range problems {
			if each.Message == "" || len(each.Message) > maxMessage || strings.Contains(each.Message, "\n") {
				t.Errorf("message %q", each.Message)
			}
		}
	})
}

package artifact

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWhatKustomizeWouldMakeOfIt(t *testing.T) {
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		says  []string // none: it is taken
	}{
		{"YAML files without a kustomization file", map[string]string{"a.yaml": deployment, "b/c.yml": configMap}, nil},
		{"several documents, with comments and empty ones", map[string]string{"a.yaml": "# nothing\n---\n" + deployment + "---\n---\n" + configMap + "---\n# end\n"}, nil},
		{"a list", map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n"}, nil},
		{"variables where values are", map[string]string{"a.yaml": strings.ReplaceAll(deployment, "2", "${REPLICAS:=2}")}, nil},
		{"other files beside them", map[string]string{"a.yaml": deployment, "README.md": "[", "values.json": "["}, nil},
		{"JSON that is listed", map[string]string{"kustomization.yaml": "resources: [a.json]", "a.json": `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}`}, nil},
		{"bases, overlays and components within it", map[string]string{
			"kustomization.yaml": "resources: [overlay]", "overlay/kustomization.yaml": "resources: [../base]\ncomponents: [../extra]\n",
			"base/kustomization.yml": "resources: [./a.yaml]", "base/a.yaml": deployment,
			"extra/Kustomization": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"}, nil},
		{"patches, generators and replacements from files", map[string]string{
			"kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}, {patch: 'x: y'}]\npatchesStrategicMerge: [p.yaml, \"a: b\\nc: d\"]\n" +
				"configMapGenerator: [{name: c, files: [x=f.conf, f.conf], envs: [e.env]}]\nsecretGenerator: [{name: s, env: e.env, literals: [a=b]}]\n" +
				"replacements: [{path: r.yaml}]\nconfigurations: [r.yaml]\ncrds: [r.yaml]\nopenapi: {path: r.yaml}\ntransformers: [t.yaml, \"kind: X\\nname: y\"]\n",
			"a.yaml": deployment, "p.yaml": "- op: remove", "f.conf": "[", "e.env": "A=b", "r.yaml": "- x", "t.yaml": "kind: X"}, nil},
		{"only what is generated", map[string]string{"kustomization.yaml": "configMapGenerator: [{name: c, literals: [a=b]}]"}, nil},
		{"YAML that nothing includes", map[string]string{"kustomization.yaml": "resources: [a.yaml]", "a.yaml": deployment, "b.yaml": "["}, nil},
		{"a folder that is included twice", map[string]string{"kustomization.yaml": "resources: [b, c]", "b/kustomization.yaml": "resources: [../c]",
			"c/kustomization.yaml": "resources: [a.yaml]", "c/a.yaml": deployment}, nil},

		{"nothing that is applied", map[string]string{"README.md": "hello", "a.json": "{}"}, []string{"nothing would be applied"}},
		{"nothing but comments", map[string]string{"a.yaml": "# a\n---\n# b\n"}, []string{"nothing would be applied"}},
		{"YAML that is none", map[string]string{"a.yaml": deployment, "b.yaml": "kind: [unclosed"}, []string{"b.yaml: document 1: "}},
		{"a second document that is none", map[string]string{"a.yaml": deployment + "---\nkind: [unclosed"}, []string{"a.yaml: document 2: "}},
		{"an object without a kind", map[string]string{"a.yaml": "apiVersion: v1\nmetadata: {name: a}"}, []string{"a.yaml: document 1: it is no Kubernetes object", `kind ""`}},
		{"an object without a name", map[string]string{"a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}"}, []string{`metadata.name ""`}},
		{"a list of what is none", map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems: [{kind: Service}]"}, []string{"it is no Kubernetes object"}},
		{"a text", map[string]string{"a.yaml": "hello"}, []string{"a.yaml: document 1: "}},
		{"Helm's values", map[string]string{"a.yaml": deployment, "values.yaml": "replicas: 2"}, []string{"values.yaml: document 1: it is no Kubernetes object"}},
		{"a folder outside", refersTo("resources: [../other]"), []string{`kustomization.yaml: it refers to "../other", which is not in the artifact`}},
		{"a folder outside by a way round", refersTo("resources: [b/../../other]"), []string{`"b/../../other"`}},
		{"an absolute path", refersTo("resources: [/a.yaml]"), []string{`"/a.yaml"`}},
		{"a file that is not there", refersTo("resources: [b.yaml]"), []string{`"b.yaml"`}},
		{"an address", refersTo("resources: ['https://example.com/a.yaml']"), []string{`"https://example.com/a.yaml"`}},
		{"a repository", refersTo("resources: ['github.com/a/b?ref=v1']"), []string{`"github.com/a/b?ref=v1"`}},
		{"a repository by SSH", refersTo("bases: ['git@github.com:a/b']"), []string{`"git@github.com:a/b"`}},
		{"a component from elsewhere", refersTo("components: ['https://example.com/a']"), []string{`"https://example.com/a"`}},
		{"a patch outside", refersTo("patches: [{path: ../p.yaml}]"), []string{`"../p.yaml"`}},
		{"an old patch outside", refersTo("patchesJson6902: [{path: ../p.yaml}]"), []string{`"../p.yaml"`}},
		{"a merge patch outside", refersTo("patchesStrategicMerge: [../p.yaml]"), []string{`"../p.yaml"`}},
		{"a replacement outside", refersTo("replacements: [{path: ../p.yaml}]"), []string{`"../p.yaml"`}},
		{"a generator outside", refersTo("generators: [../p.yaml]"), []string{`"../p.yaml"`}},
		{"a validator outside", refersTo("validators: [../p.yaml]"), []string{`"../p.yaml"`}},
		{"a schema outside", refersTo("openapi: {path: ../p.yaml}"), []string{`"../p.yaml"`}},
		{"a file of another team", refersTo("configMapGenerator: [{name: x, files: [x=../../other/secret.yaml]}]"), []string{`"../../other/secret.yaml"`}},
		{"a Secret of another team", refersTo("secretGenerator: [{name: x, envs: [../../other/secret.env]}]"), []string{`"../../other/secret.env"`}},
		{"a chart", refersTo("helmCharts: [{name: redis, repo: 'https://charts.example.com'}]"), []string{"inflates no Helm charts"}},
		{"a field that kustomize does not know", refersTo("resource: [a.yaml]"), []string{"kustomization.yaml: ", "resource"}},
		{"a kustomization file that nothing includes", map[string]string{"a.yaml": deployment, "b/kustomization.yaml": "resources: [../../x]"}, []string{"b/kustomization.yaml: it refers to"}},
		{"two kustomization files", map[string]string{"kustomization.yaml": "resources: [a.yaml]", "Kustomization": "resources: [a.yaml]", "a.yaml": deployment}, []string{"another kustomization file"}},
		{"a folder without one that is included", map[string]string{"kustomization.yaml": "resources: [b]", "b/a.yaml": deployment}, []string{"b has no kustomization file"}},
		{"a folder that kustomize takes for a repository", map[string]string{"kustomization.yaml": "resources: [GitHub.com/a/b]", "GitHub.com/a/b/kustomization.yaml": "resources: [a.yaml]", "GitHub.com/a/b/a.yaml": deployment}, []string{`"GitHub.com/a/b"`}},
		{"a folder that kustomize takes for a user's repository", map[string]string{"kustomization.yaml": "resources: [git@b/c/d]", "git@b/c/d/kustomization.yaml": "resources: [a.yaml]", "git@b/c/d/a.yaml": deployment}, []string{`"git@b/c/d"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(folder(c.files))
			if (err == nil) != (len(c.says) == 0) || err != nil && !errors.Is(err, ErrInvalid) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				says(t, err, c.says...)
			}
		})
	}
}

// refersTo is an artifact with a kustomization file.
func refersTo(kustomization string) map[string]string {
	return map[string]string{"kustomization.yaml": kustomization + "\n", "a.yaml": deployment}
}

func TestAnErrorNamesSeveralProblems(t *testing.T) {
	files := map[string]string{}
	for i := range 7 {
		files[fmt.Sprintf("%d.yaml", i)] = "kind: X"
	}
	_, err := Read(folder(files))
	says(t, err, "0.yaml: ", "4.yaml: ", "; and 2 more")
	if strings.Contains(err.Error(), "5.yaml") {
		t.Errorf("it names too many: %v", err)
	}
}

package layers

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fluxcd/pkg/envsubst"
	"github.com/google/go-cmp/cmp"
)

func missing(t *testing.T, files fstest.MapFS, folder string, values ...string) []string {
	t.Helper()
	uses, err := Uses(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, name := range values {
		have[name] = ""
	}
	var out []string
	for _, use := range Missing(uses, have) {
		out = append(out, use.String())
	}
	return out
}

func TestMissing(t *testing.T) {
	one := func(content string) fstest.MapFS { return repository("p/a.yaml", content) }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"a variable that is there, if empty":              {one("a: ${HAVE}"), nil},
		"a variable that is not":                          {one("a: 1\nb: x-${LACK}-y"), []string{"${LACK} in p/a.yaml:2"}},
		"a default with := does":                          {one("a: ${LACK:=x}"), nil},
		"a default with :- does":                          {one("a: ${LACK:-x}"), nil},
		"a default with = does":                           {one("a: ${LACK=x}"), nil},
		"an empty default does":                           {one("a: ${LACK:=}"), nil},
		"a variable in a default is needed in any way":    {one("a: ${HAVE:=${LACK}}"), []string{"${LACK} in p/a.yaml:1"}},
		"a substring is no default":                       {one("a: ${LACK:0:3}"), []string{"${LACK} in p/a.yaml:1"}},
		"a replacement is no default":                     {one("a: ${LACK/x/y}"), []string{"${LACK} in p/a.yaml:1"}},
		"an upper case is no default":                     {one("a: ${LACK^^}"), []string{"${LACK} in p/a.yaml:1"}},
		"a length is no default":                          {one(`a: "${#LACK}"`), []string{"${LACK} in p/a.yaml:1"}},
		"what is escaped is left alone":                   {one("a: $${LACK}"), nil},
		"a dollar alone is left alone":                    {one("a: $LACK and $(LACK)"), nil},
		"a comment is left alone":                         {one("a: 1 # ${LACK}\n# ${LACK}"), nil},
		"a key is not":                                    {one("${LACK}: 1"), []string{"${LACK} in p/a.yaml:1"}},
		"one variable is named once a file":               {repository("p/a.yaml", "a: ${LACK}\nb: ${LACK}", "p/b.yaml", "a: ${LACK}"), []string{"${LACK} in p/a.yaml:1", "${LACK} in p/b.yaml:1"}},
		"a line in a block is found":                      {one("a: 1\nb: |\n  one\n  $${LACK}\n  three ${LACK}\n"), []string{"${LACK} in p/a.yaml:5"}},
		"a name in another one is not mistaken for it":    {one("b: |\n  ${LACK_NOT:=x}\n  ${LACK}\n"), []string{"${LACK} in p/a.yaml:3"}},
		"an expression that is not closed":                {one("a: ${LACK"), []string{"p/a.yaml:1: an expression that Flux's substitution cannot read (missing closing brace); write $${ for what it must leave alone"}},
		"shell that is no expression":                     {one("a: |\n  x\n  echo ${@}\n"), []string{"p/a.yaml:3: an expression that Flux's substitution cannot read (unable to parse variable name); write $${ for what it must leave alone"}},
		"the one of several that cannot be read is named": {one("a: |\n  ${HAVE}\n  ${@}\n  ${HAVE}\n"), []string{"p/a.yaml:3: an expression that Flux's substitution cannot read (unable to parse variable name); write $${ for what it must leave alone"}},
		"a file that is no YAML":                          {one("a: [\n"), []string{"p/a.yaml: it cannot be read as YAML: yaml: line 1: did not find expected node content"}},
		"files that are no YAML by name are left out":     {repository("p/a.txt", "${LACK}", "p/a.yaml", "a: 1", "p/README.md", "${LACK}"), nil},
		"folders below count":                             {repository("p/b/c/a.yml", "a: ${LACK}"), []string{"${LACK} in p/b/c/a.yml:1"}},
		"every document counts":                           {one("a: 1\n---\na: ${LACK}\n"), []string{"${LACK} in p/a.yaml:3"}},
		"an object marked by an annotation is left":       {one("metadata:\n  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\na: ${LACK}\n---\na: ${ALSO}"), []string{"${ALSO} in p/a.yaml:5"}},
		"an object marked by a label is left":             {one("metadata:\n  labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}\na: ${LACK}"), nil},
		"another value of the mark is none":               {one("metadata:\n  labels: {kustomize.toolkit.fluxcd.io/substitute: enabled}\na: ${LACK}"), []string{"${LACK} in p/a.yaml:3"}},
		"an object of a list is left by its own mark":     {one("kind: List\nitems:\n- metadata: {labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\n  a: ${LACK}\n- a: ${ALSO}"), []string{"${ALSO} in p/a.yaml:5"}},
		"what has no end is not followed for ever":        {one("a: &x [*x, \"${LACK}\"]"), []string{"${LACK} in p/a.yaml:1"}},
		"too many escapes are not tried":                  {one("a: \"${" + strings.Repeat("$$", 20000) + "\""), []string{"p/a.yaml:1: too long, with too many escapes, to look for variables in; mark the object kustomize.toolkit.fluxcd.io/substitute: disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, missing(t, c.files, "p", "HAVE")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestMissingFollowsKustomize(t *testing.T) {
	with := func(kustomization string, more ...string) fstest.MapFS {
		return repository(append(more, "p/aws/kustomization.yaml", kustomization)...)
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"what it lists counts, and what it does not does not": {with("resources: [a.yaml]", "p/aws/a.yaml", "a: ${A}", "p/aws/b.yaml", "a: ${B}"), []string{"${A} in p/aws/a.yaml:1"}},
		"a folder beside counts":                              {with("resources: [../base]", "p/base/b.yaml", "a: ${B}"), []string{"${B} in p/base/b.yaml:1"}},
		"a component counts":                                  {with("components: [../c]", "p/c/kustomization.yaml", "resources: [x.yaml]", "p/c/x.yaml", "a: ${C}"), []string{"${C} in p/c/x.yaml:1"}},
		"a patch in a file counts":                            {with("patches: [{path: p.yaml}]", "p/aws/p.yaml", "a: ${P}"), []string{"${P} in p/aws/p.yaml:1"}},
		"a patch within counts":                               {with("patches:\n- patch: |\n    a: ${P}\n"), []string{"${P} in p/aws/kustomization.yaml:3"}},
		"a patch of the old kind counts":                      {with("patchesStrategicMerge:\n- p.yaml\n- |\n  a: ${I}\n", "p/aws/p.yaml", "a: ${P}"), []string{"${I} in p/aws/kustomization.yaml:4", "${P} in p/aws/p.yaml:1"}},
		"its own fields count":                                {with("namespace: ${N}\nresources: []"), []string{"${N} in p/aws/kustomization.yaml:1"}},
		"a file of a ConfigMap counts, whatever it is":        {with("configMapGenerator: [{name: x, files: [k=a.json], literals: [\"a=${L}\"]}]", "p/aws/a.json", "{\n\"a\": \"${J}\"}"), []string{"${J} in p/aws/a.json:2", "${L} in p/aws/kustomization.yaml:1"}},
		"a generated object that is marked is left":           {with("configMapGenerator: [{name: x, files: [a.json], options: {annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}}]", "p/aws/a.json", "${J}"), nil},
		"all generated objects that are marked are left":      {with("generatorOptions: {labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\nconfigMapGenerator: [{name: x, envs: [a.env]}]", "p/aws/a.env", "A=${J}"), nil},
		"a common mark marks all":                             {with("commonAnnotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\nresources: [a.yaml]", "p/aws/a.yaml", "a: ${A}"), nil},
		"a common label of the new kind marks all":            {with("labels: [{pairs: {kustomize.toolkit.fluxcd.io/substitute: disabled}}]\nresources: [a.yaml]", "p/aws/a.yaml", "a: ${A}"), nil},
		"a Secret's file is encoded before":                   {with("secretGenerator: [{name: x, files: [a.txt]}]", "p/aws/a.txt", "${S}"), nil},
		"what is elsewhere is not looked at":                  {with("resources: ['https://example.com/a.yaml', 'github.com/x/y//z?ref=v1', ../../../../etc]"), nil},
		"a circle ends":                                       {with("resources: [../aws, ../b]", "p/b/kustomization.yaml", "resources: [../aws, a.yaml]", "p/b/a.yaml", "a: ${A}"), []string{"${A} in p/b/a.yaml:1"}},
		"one that cannot be read is told of":                  {with("resources: ["), []string{"p/aws/kustomization.yaml: it cannot be read as YAML: yaml: line 1: did not find expected node content"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, missing(t, c.files, "p/aws")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if _, err := Uses(repository(), "p"); err == nil {
		t.Error("a folder that is not there has no variables")
	}
}

// What is missing is what Flux's own strict substitution refuses.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{"${A}", "$${A}", "${B:=x}", "${A:-${B}}", "${#B}", "${B/a/b}", "${B", "$$$${B}", "${A:0:${B}}", "}${", "a\n${B}\\${A}"} {
		f.Add(seed)
	}
	values := map[string]string{"A": "1"}
	f.Fuzz(func(t *testing.T, text string) {
		if affordable(text) != nil {
			return
		}
		_, err := envsubst.Eval(text, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		found := Missing(expressions(text, "f", 1), values)
		if (err == nil) != (len(found) == 0) {
			t.Errorf("Flux says %v, found was %v", err, found)
		}
		lines := strings.Count(text, "\n") + 1
		for _, use := range found {
			if use.Line < 1 || use.Line > lines {
				t.Errorf("line %d of %d", use.Line, lines)
			}
		}
	})
}

func FuzzUses(f *testing.F) {
	f.Add([]byte("resources: [a.yaml, ../p]"), []byte("a: ${A}"))
	f.Add([]byte("configMapGenerator: [{files: [a.yaml]}]"), []byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, kustomization, manifest []byte) {
		files := fstest.MapFS{"p/kustomization.yaml": {Data: kustomization}, "p/a.yaml": {Data: manifest}}
		if _, err := Uses(files, "p"); err != nil {
			t.Error(err)
		}
		if _, err := Included(files, "x", FileName); err != nil {
			t.Error(err)
		}
	})
}

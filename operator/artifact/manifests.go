package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// kustomizationNames are the files that say what kustomize builds of a folder.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// maxProblems is how many problems an error names.
const maxProblems = 5

// checkManifests says whether files are manifests that need nothing from elsewhere: every kustomization file refers to files of
// the artifact only, and what Flux would apply are Kubernetes objects. It is no build, which needs a cluster's values.
func (f Files) checkManifests() error {
	t := tree{files: f, below: map[string][]string{}, built: map[string]*types.Kustomization{}, seen: map[string]bool{}}
	for _, name := range f.Paths() {
		t.plant(name)
	}
	for _, name := range f.Paths() {
		if slices.Contains(kustomizationNames, path.Base(name)) {
			t.kustomization(name)
		}
	}
	t.folder(".")
	if len(t.problems) == 0 && t.objects == 0 {
		t.problem("nothing would be applied: without a kustomization file, Flux applies files that end in .yaml or .yml")
	}
	if n := len(t.problems); n > maxProblems {
		t.problems = append(t.problems[:maxProblems], fmt.Sprintf("and %d more", n-maxProblems))
	}
	if len(t.problems) > 0 {
		return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(t.problems, "; "))
	}
	return nil
}

// tree is files as kustomize sees them.
type tree struct {
	files    Files
	below    map[string][]string             // by folder: what is directly in it, as paths
	built    map[string]*types.Kustomization // by folder: its kustomization file
	seen     map[string]bool                 // folders and manifests that were looked at
	objects  int                             // that would be applied; a generator counts as one
	problems []string
}

func (t *tree) problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

// plant notes a path in its folder, and the folder in that above it.
func (t *tree) plant(name string) {
	for name != "." {
		above := path.Dir(name)
		_, known := t.below[above]
		t.below[above] = append(t.below[above], name)
		if known {
			return
		}
		name = above
	}
}

// kustomization reads a kustomization file and checks what it refers to.
func (t *tree) kustomization(name string) {
	dir := path.Dir(name)
	if t.built[dir] != nil {
		t.problem("%s: the folder has another kustomization file", name)
		return
	}
	k := &types.Kustomization{}
	t.built[dir] = k
	if err := k.Unmarshal(t.files[name]); err != nil {
		t.problem("%s: %s", name, oneLine(err))
		return
	}
	if len(k.HelmCharts) > 0 || len(k.HelmChartInflationGenerator) > 0 || k.HelmGlobals != nil {
		t.problem("%s: Flux inflates no Helm charts in a kustomization; render them first", name)
	}
	for _, to := range sources(k) {
		t.refers(name, to, true)
	}
	for _, to := range parts(k) {
		t.refers(name, to, false)
	}
}

// sources are what a kustomization file includes: other folders, files of objects, and configurations of plug-ins.
func sources(k *types.Kustomization) []string {
	out := slices.Concat(k.Resources, k.Bases, k.Components) //nolint:staticcheck // deprecated, and still in use
	for _, to := range slices.Concat(k.Generators, k.Transformers, k.Validators) {
		if !inline(to) {
			out = append(out, to)
		}
	}
	return out
}

// parts are the other files that a kustomization file refers to.
func parts(k *types.Kustomization) []string {
	out := slices.Concat(k.Crds, k.Configurations)
	for _, patch := range slices.Concat(k.Patches, k.PatchesJson6902) { //nolint:staticcheck // deprecated, and still in use
		out = append(out, patch.Path)
	}
	for _, patch := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and still in use
		if !inline(string(patch)) {
			out = append(out, string(patch))
		}
	}
	for _, replacement := range k.Replacements {
		out = append(out, replacement.Path)
	}
	out = append(out, k.OpenAPI["path"])
	for _, each := range k.ConfigMapGenerator {
		out = append(out, generatedFrom(each.KvPairSources)...)
	}
	for _, each := range k.SecretGenerator {
		out = append(out, generatedFrom(each.KvPairSources)...)
	}
	return slices.DeleteFunc(out, func(to string) bool { return to == "" })
}

func generatedFrom(from types.KvPairSources) []string {
	out := append(slices.Clone(from.EnvSources), from.EnvSource)
	for _, file := range from.FileSources {
		if _, to, named := strings.Cut(file, "="); named {
			file = to
		}
		out = append(out, file)
	}
	return out
}

// inline says whether a text is the thing itself where a path can be.
func inline(text string) bool {
	return strings.Contains(text, "\n") || strings.HasPrefix(strings.TrimSpace(text), "{")
}

// repository is what kustomize takes for a Git repository, also where a folder of that name is: see NewRepoSpecFromURL in
// kustomize's api/internal/git. What has a scheme, or a colon, is no path of an artifact in any case.
var repository = regexp.MustCompile(`^(?i)([a-z][a-z0-9-]*@|github\.com/)`)

// refers checks that a path in a kustomization file leads to a file or folder of the artifact.
func (t *tree) refers(file, to string, source bool) {
	name := path.Join(path.Dir(file), to)
	_, isFile := t.files[name]
	if path.IsAbs(to) || !isFile && t.below[name] == nil || source && repository.MatchString(to) {
		t.problem("%s: it refers to %.200q, which is not in the artifact", file, to)
	}
}

// folder looks at what Flux builds of a folder. Without a kustomization file that is every YAML file in it, and every folder.
func (t *tree) folder(dir string) {
	if t.seen[dir] {
		return
	}
	t.seen[dir] = true
	k := t.built[dir]
	if k == nil {
		for _, name := range t.below[dir] {
			if extension := path.Ext(name); t.below[name] != nil {
				t.folder(name)
			} else if extension == ".yaml" || extension == ".yml" {
				t.manifest(name)
			}
		}
		return
	}
	t.objects += len(k.ConfigMapGenerator) + len(k.SecretGenerator) + len(k.Generators)
	for _, to := range slices.Concat(k.Resources, k.Bases, k.Components) { //nolint:staticcheck // deprecated, and still in use
		name := path.Join(dir, to)
		switch _, isFile := t.files[name]; {
		case isFile:
			t.manifest(name)
		case t.below[name] != nil && t.built[name] == nil:
			t.problem("%s has no kustomization file, and that of %s includes it", name, dir)
		default:
			t.folder(name)
		}
	}
}

// manifest checks that every document of a file is a Kubernetes object.
func (t *tree) manifest(name string) {
	if t.seen[name] {
		return
	}
	t.seen[name] = true
	decoder := yaml.NewDecoder(bytes.NewReader(t.files[name]))
	for n := 1; ; n++ {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = t.document(&document)
		}
		if err != nil {
			t.problem("%s: document %d: %s", name, n, oneLine(err))
			return
		}
	}
}

// object is what every Kubernetes object has.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Items yaml.Node `yaml:"items"`
}

func (t *tree) document(document *yaml.Node) error {
	if len(document.Content) == 1 && document.Content[0].Tag == "!!null" {
		return nil // a comment, or nothing
	}
	var found object
	if err := document.Decode(&found); err != nil {
		return err
	}
	objects := []object{found}
	if found.Items.Kind == yaml.SequenceNode && strings.HasSuffix(found.Kind, "List") {
		if err := found.Items.Decode(&objects); err != nil {
			return err
		}
	}
	for _, each := range objects {
		t.objects++
		if each.APIVersion == "" || each.Kind == "" || each.Metadata.Name == "" {
			return fmt.Errorf("it is no Kubernetes object: apiVersion %q, kind %q, metadata.name %q", each.APIVersion, each.Kind, each.Metadata.Name)
		}
	}
	return nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

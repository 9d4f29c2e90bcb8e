package preflight

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// walk looks at all that kustomize would read, before it does: so that nothing is fetched from elsewhere, and nothing is read
// that would end the process.
type walk struct {
	source
	left     *bounds
	problems []Problem
}

func (w *walk) problem(format string, args ...any) {
	w.problems = append(w.problems, failed("", format, args...))
}

// look looks at all of an artifact. It returns the kustomization file that kustomize is to begin with, and its name.
func (s source) look() (types.Kustomization, string, []Problem) {
	w := &walk{source: s, left: newBounds()}
	k, file := w.root()
	if w.left.folders < 0 {
		w.problem("%s: it refers to more than %d folders, or a folder refers to itself", file, maxFolders)
	}
	if w.left.references < 0 {
		w.problem("%s: it and what it refers to name more than %d files", file, maxReferences)
	}
	slices.SortStableFunc(w.problems, func(a, b Problem) int { return strings.Compare(a.Message, b.Message) })
	return k, file, slices.Compact(w.problems)
}

// root is the artifact's kustomization file as Flux reads it, or the one that Flux generates; with the file's name.
func (w *walk) root() (types.Kustomization, string) {
	file := w.kustomizationIn(".")
	if file == "" {
		file = "kustomization.yaml"
		k := types.Kustomization{Resources: w.manifests()}
		if len(k.Resources) == 0 {
			w.problem("there is no YAML file in it")
		}
		w.kustomization(".", file, &k)
		return k, file
	}
	k, ok := w.parse(file)
	if ok {
		w.kustomization(".", file, &k)
	}
	if len(k.Resources) == 0 {
		k.BuildMetadata = []string{types.OriginAnnotations} // Flux does, since kustomize takes no empty file
	}
	return k, file
}

// parse reads a kustomization file. Of fields that it does not know, kustomize will say so.
func (w *walk) parse(file string) (k types.Kustomization, ok bool) {
	if found := w.left.read(string(w.files[file]), false); found != nil {
		w.problem("%s", found.at(file))
		return k, false
	}
	if err := yaml.Unmarshal(w.files[file], &k); err != nil {
		w.problem("%s: it is no kustomization file: %v", file, err)
		return k, false
	}
	return k, true
}

// reference is a place where a kustomization file names files or folders.
type reference struct {
	field string
	to    []string
	kind  kind
}

// kind is what may be referred to.
type kind int

const (
	objects  kind = iota // a folder with a kustomization file, or a file of objects
	folder               // a folder with a kustomization file
	document             // a file of YAML
	text                 // nothing: it is YAML itself
	either               // a file of YAML, or YAML itself
	content              // a file of anything
)

// references are those of a kustomization file that an artifact can have.
func references(k *types.Kustomization) []reference {
	out := []reference{
		{"resources", k.Resources, objects}, {"bases", k.Bases, objects}, {"components", k.Components, folder}, //nolint:staticcheck // deprecated, and still in use
		{"configurations", k.Configurations, document},
	}
	for _, each := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and still in use
		out = append(out, reference{"patchesStrategicMerge", []string{string(each)}, either})
	}
	for _, each := range k.Patches {
		out = append(out, reference{"patches", given(each.Path), document}, reference{"patches", given(each.Patch), text})
	}
	for _, each := range k.PatchesJson6902 { //nolint:staticcheck // deprecated, and still in use
		out = append(out, reference{"patchesJson6902", given(each.Path), document}, reference{"patchesJson6902", given(each.Patch), text})
	}
	for _, each := range k.Replacements {
		out = append(out, reference{"replacements", given(each.Path), document})
	}
	for _, each := range k.ConfigMapGenerator {
		out = append(out, reference{"configMapGenerator", sources(each.KvPairSources), content})
	}
	for _, each := range k.SecretGenerator {
		out = append(out, reference{"secretGenerator", sources(each.KvPairSources), content})
	}
	return out
}

func given(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// sources are the files of a generator. One may be "<key>=<path>".
func sources(of types.KvPairSources) []string {
	out := append(slices.Clone(of.EnvSources), given(of.EnvSource)...)
	for _, each := range of.FileSources {
		if _, name, named := strings.Cut(each, "="); named {
			each = name
		}
		out = append(out, each)
	}
	return out
}

// unsupported are the fields that an artifact cannot have: they run programs, read what is not in it, or read it in ways that
// nobody has bounded.
func unsupported(k *types.Kustomization) map[string]bool {
	return map[string]bool{
		"crds": len(k.Crds) > 0, "generators": len(k.Generators) > 0, "helmCharts": len(k.HelmCharts) > 0,
		"helmChartInflationGenerator": len(k.HelmChartInflationGenerator) > 0, "helmGlobals": k.HelmGlobals != nil,
		"openapi": len(k.OpenAPI) > 0, "transformers": len(k.Transformers) > 0, "validators": len(k.Validators) > 0,
	}
}

// kustomization looks at a kustomization file and at what it refers to. Every visit counts: kustomize reads anew what is
// referred to twice.
func (w *walk) kustomization(dir, file string, k *types.Kustomization) {
	if w.left.folders--; w.left.folders < 0 {
		return // look says so
	}
	for _, field := range slices.Sorted(maps.Keys(unsupported(k))) {
		if unsupported(k)[field] {
			w.problem("%s: an artifact cannot have %s; render what they make before the artifact is pushed", file, field)
		}
	}
	for _, each := range references(k) {
		for _, to := range each.to {
			if w.left.references--; w.left.references < 0 {
				return
			}
			if err := w.follow(dir, to, each.kind); err != nil {
				w.problem("%s: %s: %v", file, each.field, err)
			}
		}
	}
}

// follow looks at what a kustomization file in dir refers to.
func (w *walk) follow(dir, to string, as kind) error {
	if as == text || as == either && (strings.Contains(to, "\n") || strings.HasPrefix(strings.TrimSpace(to), "{")) {
		if found := w.left.read(to, false); found != nil {
			return fmt.Errorf("line %d of a patch: %s", found.line, found.why)
		}
		return nil
	}
	name, err := w.local(dir, to, as)
	if err != nil {
		return err
	}
	_, isFile := w.files[name]
	switch {
	case as == content && isFile:
	case isFile && as != folder:
		if found := w.left.read(string(w.files[name]), as == objects); found != nil {
			w.problem("%s", found.at(name))
		}
	case w.folders[name] && (as == objects || as == folder):
		return w.enter(name)
	case w.omitted[name]:
		return fmt.Errorf("%s is a file that Flux leaves out of what it fetches; give it another name", name)
	default:
		return fmt.Errorf("there is no such file or folder in the artifact: %s", to)
	}
	return nil
}

func (w *walk) enter(dir string) error {
	file := w.kustomizationIn(dir)
	if file == "" {
		return fmt.Errorf("the folder %s has no kustomization.yaml", dir)
	}
	if k, ok := w.parse(file); ok {
		w.kustomization(dir, file, &k)
	}
	return nil
}

// local is the path in the artifact that a reference means. Kustomize takes http: and https: for what is to be fetched, and
// in lists of resources also what begins with a user or with github.com; a colon is in all others.
func (w *walk) local(dir, to string, as kind) (string, error) {
	lower := strings.ToLower(to)
	remote := strings.Contains(to, ":") || (as == objects || as == folder) && (strings.Contains(to, "@") || strings.HasPrefix(lower, "github.com/"))
	name := path.Join(dir, to)
	switch {
	case remote:
		return "", fmt.Errorf("%s is not in the artifact, which must hold all that it is built of", to)
	case path.IsAbs(to) || !fs.ValidPath(name):
		return "", fmt.Errorf("%s leads out of the artifact", to)
	}
	return name, nil
}

package layers

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fields of a kustomization file: lists of paths of files and folders, lists of objects with a path and
// a patch, and what does not come out as it stands there.
var (
	pathLists   = []string{"resources", "bases", "components", "transformers", "generators", "validators"}
	pathObjects = []string{"patches", "patchesJson6902", "replacements"}
	notOutput   = append([]string{"configMapGenerator", "secretGenerator", "patchesStrategicMerge", "configurations", "crds", "openapi",
		"helmCharts", "helmGlobals"}, append(pathLists, pathObjects...)...)
)

// kustomization looks at a kustomization file and at what it refers to.
func (w *walk) kustomization(dir, name string, content []byte) error {
	var failed error
	documents(content, func(root *yaml.Node, err error) {
		if err != nil {
			w.uses = append(w.uses, unreadable(name, err))
			return
		}
		if failed == nil && !marksAll(root) {
			failed = errors.Join(w.refers(dir, name, root), w.generators(dir, name, root))
		}
	})
	return failed
}

// marksAll says whether a kustomization file marks all that comes of it.
func marksAll(root *yaml.Node) bool {
	if marks(field(root, "commonAnnotations")) || marks(field(root, "commonLabels")) {
		return true
	}
	for _, each := range items(root, "labels") {
		if marks(field(each, "pairs")) {
			return true
		}
	}
	return false
}

func (w *walk) refers(dir, name string, root *yaml.Node) error {
	var paths []string
	for _, list := range pathLists {
		for _, each := range items(root, list) {
			paths = append(paths, each.Value)
		}
	}
	for _, list := range pathObjects {
		for _, each := range items(root, list) {
			paths = append(paths, text(each, "path"))
			w.inline(field(each, "patch"), name)
		}
	}
	for _, each := range items(root, "patchesStrategicMerge") {
		if strings.Contains(each.Value, "\n") {
			w.inline(each, name)
			continue
		}
		paths = append(paths, each.Value)
	}
	for _, to := range paths {
		if err := w.reference(dir, to, w.file); err != nil {
			return err
		}
	}
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if !slices.Contains(notOutput, root.Content[i].Value) {
			w.scalars(root.Content[i+1], name)
		}
	}
	return nil
}

// inline looks at a text that is part of the kustomization file.
func (w *walk) inline(node *yaml.Node, file string) {
	if node != nil {
		w.scalars(node, file)
	}
}

// generators looks at what becomes ConfigMaps and Secrets. Secrets' values are encoded before Flux
// substitutes anything.
func (w *walk) generators(dir, name string, root *yaml.Node) error {
	all := field(root, "generatorOptions")
	for _, each := range items(root, "configMapGenerator") {
		if options := field(each, "options"); marksGenerated(all) || marksGenerated(options) {
			continue
		}
		for _, literal := range items(each, "literals") {
			w.inline(literal, name)
		}
		files := append(items(each, "files"), items(each, "envs")...)
		if env := field(each, "env"); env != nil {
			files = append(files, env)
		}
		for _, file := range files {
			to := file.Value
			if _, after, named := strings.Cut(to, "="); named {
				to = after
			}
			if err := w.reference(dir, to, w.text); err != nil {
				return err
			}
		}
	}
	return nil
}

func marksGenerated(options *yaml.Node) bool {
	return marks(field(options, "annotations")) || marks(field(options, "labels"))
}

// items are the elements of a list; none when there is no such list.
func items(node *yaml.Node, key string) []*yaml.Node {
	found := field(node, key)
	if found == nil || found.Kind != yaml.SequenceNode {
		return nil
	}
	return found.Content
}

// Included says whether a cluster's root Kustomization takes in a file below its folder, such as FileName: a kustomization
// file must list it, or the folder that it is in, and so must one in that folder; without them, every file counts.
func Included(repository fs.FS, id, file string) (bool, error) {
	return takesIn(repository, ClusterFolder(id), file, false)
}

// takesIn says whether kustomize takes in a file below a folder. A folder that is listed needs a kustomization file.
func takesIn(repository fs.FS, dir, file string, listed bool) (bool, error) {
	_, content, err := kustomizationFile(repository, dir)
	if err != nil {
		return true, err
	}
	if content == nil {
		folder, below, deeper := strings.Cut(file, "/")
		if listed || !deeper {
			return !listed, nil
		}
		return takesIn(repository, path.Join(dir, folder), below, false)
	}
	for _, each := range resources(content) {
		below, inside := strings.CutPrefix(file, each+"/")
		if each == file {
			return true, nil
		}
		if !inside {
			continue
		}
		if found, err := takesIn(repository, path.Join(dir, each), below, true); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// resources are those that a kustomization file lists.
func resources(content []byte) []string {
	var out []string
	documents(content, func(root *yaml.Node, _ error) {
		for _, each := range items(root, "resources") {
			out = append(out, path.Clean(each.Value))
		}
	})
	return out
}

// kustomizationFile is that of a folder; no content when there is none.
func kustomizationFile(repository fs.FS, dir string) (name string, content []byte, err error) {
	for _, each := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		name = path.Join(dir, each)
		content, err = fs.ReadFile(repository, name)
		if err == nil {
			return name, content, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	return "", nil, nil
}

package layers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// markName marks objects that Flux substitutes nothing in, as label or annotation with markValue.
	markName  = "kustomize.toolkit.fluxcd.io/substitute"
	markValue = "disabled"
	// maxFiles is how many files of one layer are looked at.
	maxFiles = 10000
)

// walk looks through what a Kustomization applies.
type walk struct {
	repository fs.FS
	seen       map[string]bool // files and folders that were looked at
	uses       []Use
}

// once says whether a path is looked at for the first time.
func (w *walk) once(name string) (bool, error) {
	if w.seen[name] {
		return false, nil
	}
	w.seen[name] = true
	if len(w.seen) > maxFiles {
		return false, fmt.Errorf("more than %d files", maxFiles)
	}
	return true, nil
}

// folder looks at what kustomize builds of a folder. Without a kustomization file that is every YAML
// file in it, as Flux generates one.
func (w *walk) folder(dir string) error {
	if first, err := w.once(dir); !first {
		return err
	}
	name, content, err := kustomizationFile(w.repository, dir)
	if err != nil {
		return err
	}
	if content != nil {
		return w.kustomization(dir, name, content)
	}
	entries, err := fs.ReadDir(w.repository, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name, extension := path.Join(dir, entry.Name()), path.Ext(entry.Name())
		switch {
		case entry.IsDir():
			err = w.folder(name)
		case entry.Type().IsRegular() && (extension == ".yaml" || extension == ".yml"):
			err = w.file(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reference looks at what a kustomization file refers to, if it is in the repository.
func (w *walk) reference(dir, to string, look func(name string) error) error {
	name := path.Join(dir, to)
	if to == "" || !fs.ValidPath(name) || strings.Contains(to, "://") {
		return nil
	}
	info, err := fs.Stat(w.repository, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // from elsewhere, or kustomize will say so
	case err != nil:
		return err
	case info.IsDir():
		return w.folder(name)
	case !info.Mode().IsRegular():
		return nil
	}
	return look(name)
}

// file looks at the objects of a YAML file.
func (w *walk) file(name string) error {
	if first, err := w.once(name); !first {
		return err
	}
	content, err := fs.ReadFile(w.repository, name)
	if err != nil {
		return err
	}
	documents(content, func(document *yaml.Node, err error) {
		if err != nil {
			w.uses = append(w.uses, unreadable(name, err))
			return
		}
		w.object(document, name)
	})
	return nil
}

func unreadable(file string, err error) Use {
	return Use{File: file, Problem: "it cannot be read as YAML: " + oneLine(err.Error())}
}

// text looks at a file that becomes part of a ConfigMap or Secret.
func (w *walk) text(name string) error {
	if first, err := w.once(name); !first {
		return err
	}
	content, err := fs.ReadFile(w.repository, name)
	if err == nil && utf8.Valid(content) {
		w.uses = append(w.uses, expressions(string(content), name, 1)...)
	}
	return err
}

// documents calls see for each document of a file, and once for what cannot be read.
func documents(content []byte, see func(*yaml.Node, error)) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			see(nil, err)
			return
		}
		for _, root := range document.Content {
			see(root, nil)
		}
	}
}

// object looks at one object, or at those of a List.
func (w *walk) object(node *yaml.Node, file string) {
	if items := field(node, "items"); items != nil && items.Kind == yaml.SequenceNode && strings.HasSuffix(text(node, "kind"), "List") {
		for _, item := range items.Content {
			w.object(item, file)
		}
		return
	}
	if meta := field(node, "metadata"); marks(field(meta, "annotations")) || marks(field(meta, "labels")) {
		return
	}
	w.scalars(node, file)
}

// scalars looks at every text of a node, keys, too. What is anchored is looked at where the anchor is.
func (w *walk) scalars(node *yaml.Node, file string) {
	if node.Kind == yaml.ScalarNode {
		line := node.Line
		if node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			line++ // the text begins below its mark
		}
		w.uses = append(w.uses, expressions(node.Value, file, line)...)
		return
	}
	for _, each := range node.Content {
		w.scalars(each, file)
	}
}

// field is a value of a mapping; nil when it is not there.
func field(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func text(node *yaml.Node, key string) string {
	if found := field(node, key); found != nil && found.Kind == yaml.ScalarNode {
		return found.Value
	}
	return ""
}

// marks says whether labels or annotations switch substitution off.
func marks(of *yaml.Node) bool { return text(of, markName) == markValue }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

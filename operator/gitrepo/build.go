package gitrepo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/fairway-dev/fairway/operator/gitrepo/gitpath"
)

// rewrite is a tree with edits made, by their paths from there. Folders that become empty go, as in
// Git; files that were executable stay so. The tree is ZeroHash when nothing is left of it.
func (o *objects) rewrite(tree plumbing.Hash, edits map[string]Edit) (plumbing.Hash, error) {
	var entries []object.TreeEntry
	if tree != plumbing.ZeroHash {
		var err error
		if entries, err = o.tree(tree); err != nil {
			return tree, err
		}
	}
	files, folders := split(edits)
	for name, edit := range files {
		var err error
		if entries, err = o.writeFile(entries, name, edit); err != nil {
			return tree, err
		}
	}
	for name, below := range folders {
		var err error
		if entries, err = o.writeFolder(entries, name, below); err != nil {
			return tree, err
		}
	}
	if len(entries) == 0 {
		return plumbing.ZeroHash, nil
	}
	return o.put(plumbing.TreeObject, encodeTree(entries))
}

// split divides edits into those of a folder's own files and those of each folder in it.
func split(edits map[string]Edit) (files map[string]Edit, folders map[string]map[string]Edit) {
	files, folders = map[string]Edit{}, map[string]map[string]Edit{}
	for path, edit := range edits {
		name, below, deeper := strings.Cut(path, "/")
		if !deeper {
			files[name] = edit
			continue
		}
		if folders[name] == nil {
			folders[name] = map[string]Edit{}
		}
		folders[name][below] = edit
	}
	return files, folders
}

func (o *objects) writeFile(entries []object.TreeEntry, name string, edit Edit) ([]object.TreeEntry, error) {
	at := index(entries, name)
	if at >= 0 && entries[at].Mode != filemode.Regular && entries[at].Mode != filemode.Executable {
		return nil, fmt.Errorf("%w: %s is there already, and is no file (mode %s)", ErrPath, edit.Path, entries[at].Mode)
	}
	switch {
	case edit.Delete && at >= 0:
		return slices.Delete(entries, at, at+1), nil
	case edit.Delete:
		return entries, nil
	}
	hash, err := o.put(plumbing.BlobObject, edit.Content)
	if err != nil {
		return nil, err
	}
	if at >= 0 {
		entries[at].Hash = hash
		return entries, nil
	}
	return append(entries, object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: hash}), nil
}

func (o *objects) writeFolder(entries []object.TreeEntry, name string, below map[string]Edit) ([]object.TreeEntry, error) {
	at := index(entries, name)
	folder := plumbing.ZeroHash
	if at >= 0 {
		if entries[at].Mode != filemode.Dir {
			if onlyDeletes(below) {
				return entries, nil
			}
			return nil, fmt.Errorf("%w: %s is there already, and is no folder (mode %s)", ErrPath, name, entries[at].Mode)
		}
		folder = entries[at].Hash
	}
	hash, err := o.rewrite(folder, below)
	switch {
	case err != nil:
		return nil, err
	case hash == plumbing.ZeroHash && at >= 0:
		return slices.Delete(entries, at, at+1), nil
	case hash == plumbing.ZeroHash:
		return entries, nil
	case at >= 0:
		entries[at].Hash = hash
		return entries, nil
	}
	return append(entries, object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: hash}), nil
}

func onlyDeletes(edits map[string]Edit) bool {
	for _, edit := range edits {
		if !edit.Delete {
			return false
		}
	}
	return true
}

func index(entries []object.TreeEntry, name string) int {
	return slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
}

// checkEdits is the edits by their paths, which are checked. Of two edits of a path the last one counts.
func checkEdits(edits []Edit) (map[string]Edit, error) {
	out := map[string]Edit{}
	for _, edit := range edits {
		if err := gitpath.Check(edit.Path); err != nil {
			return nil, err
		}
		if len(edit.Content) > maxFile {
			return nil, fmt.Errorf("%w: %s has %d bytes, and %d are written at most", ErrTooLarge, edit.Path, len(edit.Content), maxFile)
		}
		out[edit.Path] = edit
	}
	return out, nil
}

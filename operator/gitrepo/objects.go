package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// objects are Git's objects by their hash: those of its own over those of what it was built on. One
// that others can see never changes, so that it is read without a lock.
type objects struct {
	base *objects
	own  map[plumbing.Hash]plumbing.EncodedObject
}

// over are no objects yet, over those of base.
func over(base *objects) *objects {
	return &objects{base: base, own: map[plumbing.Hash]plumbing.EncodedObject{}}
}

func (o *objects) get(kind plumbing.ObjectType, hash plumbing.Hash) (plumbing.EncodedObject, error) {
	for layer := o; layer != nil; layer = layer.base {
		if found, ok := layer.own[hash]; ok && found.Type() == kind {
			return found, nil
		}
	}
	return nil, fmt.Errorf("find %s %s: %w", kind, hash, plumbing.ErrObjectNotFound)
}

// put stores an object. Its hash is computed here, before others can see it.
func (o *objects) put(found plumbing.EncodedObject) plumbing.Hash {
	hash := found.Hash()
	o.own[hash] = found
	return hash
}

func (o *objects) commit(hash plumbing.Hash) (*object.Commit, error) {
	found, err := o.get(plumbing.CommitObject, hash)
	if err != nil {
		return nil, err
	}
	commit, err := object.DecodeCommit(nil, found)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", hash, err)
	}
	return commit, nil
}

// tree lists a folder. Names that are no single part of a path are refused: whoever can push can
// make such a tree.
func (o *objects) tree(hash plumbing.Hash) ([]object.TreeEntry, error) {
	found, err := o.get(plumbing.TreeObject, hash)
	if err != nil {
		return nil, err
	}
	tree := &object.Tree{}
	if err := tree.Decode(found); err != nil {
		return nil, fmt.Errorf("read tree %s: %w", hash, err)
	}
	for _, entry := range tree.Entries {
		if entry.Name == "." || entry.Name == ".." || strings.Contains(entry.Name, "/") {
			return nil, fmt.Errorf("read tree %s: %w: it has an entry %q", hash, ErrPath, entry.Name)
		}
	}
	return tree.Entries, nil
}

func (o *objects) blob(hash plumbing.Hash) (content []byte, err error) {
	found, err := o.get(plumbing.BlobObject, hash)
	if err != nil {
		return nil, err
	}
	if found.Size() > maxFile {
		return nil, fmt.Errorf("%w: a file of %d bytes, and %d are read at most", ErrTooLarge, found.Size(), maxFile)
	}
	reader, err := found.Reader()
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return io.ReadAll(reader)
}

// closure is a copy with nothing but a commit and what is in its tree.
func (o *objects) closure(commit plumbing.Hash) (*objects, error) {
	out := over(nil)
	top, err := o.commit(commit)
	if err != nil {
		return nil, err
	}
	if err := o.copy(out, plumbing.CommitObject, commit); err != nil {
		return nil, err
	}
	folders := []plumbing.Hash{top.TreeHash}
	for len(folders) > 0 {
		folder := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		if _, done := out.own[folder]; done {
			continue
		}
		if err := o.copy(out, plumbing.TreeObject, folder); err != nil {
			return nil, err
		}
		entries, err := o.tree(folder)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			switch entry.Mode {
			case filemode.Dir:
				folders = append(folders, entry.Hash)
			case filemode.Submodule: // a commit of another repository
			default:
				if err := o.copy(out, plumbing.BlobObject, entry.Hash); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

func (o *objects) copy(to *objects, kind plumbing.ObjectType, hash plumbing.Hash) error {
	found, err := o.get(kind, hash)
	if err != nil {
		return err
	}
	to.own[hash] = found
	return nil
}

package gitrepo

import (
	"fmt"
	"maps"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// objects are Git's objects by their hash: those of its own over those of what it was built on. One that
// others can see never changes, so that it is read without a lock.
type objects struct {
	base *objects
	own  map[plumbing.Hash]plumbing.EncodedObject
}

// over are no objects yet, over those of base.
func over(base *objects) *objects {
	return &objects{base: base, own: map[plumbing.Hash]plumbing.EncodedObject{}}
}

// find is an object of any kind; nil when it is not there.
func (o *objects) find(hash plumbing.Hash) plumbing.EncodedObject {
	for layer := o; layer != nil; layer = layer.base {
		if found, ok := layer.own[hash]; ok {
			return found
		}
	}
	return nil
}

func (o *objects) get(kind plumbing.ObjectType, hash plumbing.Hash) (plumbing.EncodedObject, error) {
	if found := o.find(hash); found != nil && found.Type() == kind {
		return found, nil
	}
	return nil, fmt.Errorf("find %s %s: %w", kind, hash, plumbing.ErrObjectNotFound)
}

// put stores an object. Its hash is computed here, before others can see it. What is there already is not stored again, so that
// it is not sent again.
func (o *objects) put(kind plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	fresh := &plumbing.MemoryObject{}
	fresh.SetType(kind)
	if _, err := fresh.Write(content); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store %s: %w", kind, err)
	}
	hash := fresh.Hash()
	if o.find(hash) == nil {
		o.own[hash] = fresh
	}
	return hash, nil
}

// putCommit stores a commit, signed if there is a signer.
func (o *objects) putCommit(commit *object.Commit, sign signer) (plumbing.Hash, error) {
	text := &plumbing.MemoryObject{}
	if err := commit.EncodeWithoutSignature(text); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode commit: %w", err)
	}
	unsigned, err := content(text)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode commit: %w", err)
	}
	if sign == nil {
		return o.put(plumbing.CommitObject, unsigned)
	}
	if commit.PGPSignature, err = sign(unsigned); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("sign commit: %w", err)
	}
	signed := &plumbing.MemoryObject{}
	if err := commit.Encode(signed); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode commit: %w", err)
	}
	whole, err := content(signed)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode commit: %w", err)
	}
	return o.put(plumbing.CommitObject, whole)
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

// tree lists a folder.
func (o *objects) tree(hash plumbing.Hash) ([]object.TreeEntry, error) {
	found, err := o.get(plumbing.TreeObject, hash)
	if err != nil {
		return nil, err
	}
	entries, err := treeOf(found)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", hash, err)
	}
	return entries, nil
}

func treeOf(found plumbing.EncodedObject) ([]object.TreeEntry, error) {
	text, err := content(found)
	if err != nil {
		return nil, err
	}
	return decodeTree(text)
}

func (o *objects) blob(hash plumbing.Hash) ([]byte, error) {
	found, err := o.get(plumbing.BlobObject, hash)
	if err != nil {
		return nil, err
	}
	if found.Size() > maxFile {
		return nil, fmt.Errorf("%w: a file of %d bytes, and %d are read at most", ErrTooLarge, found.Size(), maxFile)
	}
	text, err := content(found)
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, err)
	}
	return text, nil
}

// since are the objects that were added to base, over it.
func (o *objects) since(base *objects) *objects {
	out := over(base)
	for layer := o; layer != nil && layer != base; layer = layer.base {
		maps.Copy(out.own, layer.own)
	}
	return out
}

// maxLayers is how many layers are kept before they are made one.
const maxLayers = 16

// settled is what has a commit and what is in its tree, perhaps with more: it is tidied now and then, since that takes as long as
// the branch has files, and who pushes is in a hurry.
func (o *objects) settled(commit plumbing.Hash) (*objects, error) {
	layers := 0
	for layer := o; layer != nil; layer = layer.base {
		layers++
	}
	if layers < maxLayers {
		return o, nil
	}
	return o.closure(commit)
}

// complete says what is missing of a commit's tree; of folders that are known nothing is.
func (o *objects) complete(commit plumbing.Hash, known *objects) error {
	top, err := o.commit(commit)
	if err != nil {
		return err
	}
	folders := []plumbing.Hash{top.TreeHash}
	for len(folders) > 0 {
		folder := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		if known.find(folder) != nil {
			continue
		}
		entries, err := o.tree(folder)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			switch {
			case entry.Mode == filemode.Dir:
				folders = append(folders, entry.Hash)
			case entry.Mode != filemode.Submodule && o.find(entry.Hash) == nil:
				return fmt.Errorf("find %s: %w", entry.Name, plumbing.ErrObjectNotFound)
			}
		}
	}
	return nil
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

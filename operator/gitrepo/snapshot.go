package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxFile is the size, in bytes, of the largest file that is read.
const maxFile = 4 << 20

// Snapshot is a branch at one commit. It is an fs.FS of the files there, and never changes. Symbolic
// links and submodules are listed and cannot be opened. It is safe for concurrent use.
type Snapshot struct {
	branch  string
	hash    plumbing.Hash
	tree    plumbing.Hash
	objects *objects
}

var (
	_ fs.ReadFileFS = (*Snapshot)(nil)
	_ fs.ReadDirFS  = (*Snapshot)(nil)
	_ fs.StatFS     = (*Snapshot)(nil)
)

// newSnapshot is a commit, which is among objects.
func newSnapshot(branch string, hash plumbing.Hash, from *objects) (*Snapshot, error) {
	commit, err := from.commit(hash)
	if err != nil {
		return nil, err
	}
	return &Snapshot{branch: branch, hash: hash, tree: commit.TreeHash, objects: from}, nil
}

// Revision is the commit as Flux writes it: "main@sha1:<40 hex digits>".
func (s *Snapshot) Revision() string { return revision(s.branch, s.hash) }

func revision(branch string, commit plumbing.Hash) string {
	return branch + "@sha1:" + commit.String()
}

// Same says whether a file or folder is the same in both, with all that is below it.
func (s *Snapshot) Same(other *Snapshot, name string) bool {
	mine, err := s.find("stat", name)
	theirs, otherErr := other.find("stat", name)
	if err != nil || otherErr != nil {
		return errors.Is(err, fs.ErrNotExist) && errors.Is(otherErr, fs.ErrNotExist)
	}
	return mine.Hash == theirs.Hash && mine.Mode == theirs.Mode
}

// Open opens a file or a folder.
func (s *Snapshot) Open(name string) (fs.File, error) {
	entry, err := s.find("open", name)
	if err != nil {
		return nil, err
	}
	info := s.info(entry)
	if info.IsDir() {
		entries, err := s.list(entry.Hash)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &folder{info: info, path: name, entries: entries}, nil
	}
	content, err := s.read("open", name, entry)
	if err != nil {
		return nil, err
	}
	return &file{info: info, Reader: strings.NewReader(string(content))}, nil
}

// ReadFile reads a file. One that is larger than 4 MiB is ErrTooLarge.
func (s *Snapshot) ReadFile(name string) ([]byte, error) {
	entry, err := s.find("open", name)
	if err != nil {
		return nil, err
	}
	return s.read("read", name, entry)
}

// ReadDir lists a folder, by name.
func (s *Snapshot) ReadDir(name string) ([]fs.DirEntry, error) {
	entry, err := s.find("open", name)
	if err == nil && entry.Mode != filemode.Dir {
		err = &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	}
	if err != nil {
		return nil, err
	}
	entries, err := s.list(entry.Hash)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// Stat describes a file or a folder.
func (s *Snapshot) Stat(name string) (fs.FileInfo, error) {
	entry, err := s.find("stat", name)
	if err != nil {
		return nil, err
	}
	return s.info(entry), nil
}

// find walks down to a path.
func (s *Snapshot) find(op, name string) (object.TreeEntry, error) {
	if !fs.ValidPath(name) {
		return object.TreeEntry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at := object.TreeEntry{Name: path.Base(name), Mode: filemode.Dir, Hash: s.tree}
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if at.Mode != filemode.Dir {
			return at, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		entries, err := s.objects.tree(at.Hash)
		if err != nil {
			return at, &fs.PathError{Op: op, Path: name, Err: err}
		}
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == part })
		if i < 0 {
			return at, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		at = entries[i]
	}
	return at, nil
}

func (s *Snapshot) read(op, name string, entry object.TreeEntry) ([]byte, error) {
	var content []byte
	err := fmt.Errorf("not a file (mode %s)", entry.Mode)
	if entry.Mode.IsRegular() || entry.Mode == filemode.Executable {
		content, err = s.objects.blob(entry.Hash)
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return content, nil
}

// list is a folder as fs wants it: by name. Git's own order has folders as if they ended in a slash.
func (s *Snapshot) list(tree plumbing.Hash) ([]fs.DirEntry, error) {
	entries, err := s.objects.tree(tree)
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, len(entries))
	for i, entry := range entries {
		out[i] = fs.FileInfoToDirEntry(s.info(entry))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

func (s *Snapshot) info(entry object.TreeEntry) info {
	out := info{name: entry.Name}
	switch entry.Mode {
	case filemode.Dir:
		out.mode = fs.ModeDir | 0o555
	case filemode.Symlink:
		out.mode = fs.ModeSymlink | 0o444
	case filemode.Submodule:
		out.mode = fs.ModeIrregular
	case filemode.Executable:
		out.mode = 0o555
	default:
		out.mode = 0o444
	}
	if blob, err := s.objects.get(plumbing.BlobObject, entry.Hash); err == nil {
		out.size = blob.Size()
	}
	return out
}

// info is an fs.FileInfo.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string      { return i.name }
func (i info) Size() int64       { return i.size }
func (i info) Mode() fs.FileMode { return i.mode }
func (i info) IsDir() bool       { return i.mode.IsDir() }
func (info) ModTime() time.Time  { return time.Time{} } // Git keeps none
func (info) Sys() any            { return nil }

type file struct {
	info info
	*strings.Reader
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

type folder struct {
	info    info
	path    string
	entries []fs.DirEntry
}

func (f *folder) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *folder) Close() error               { return nil }

func (f *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.path, Err: errors.New("is a folder")}
}

// ReadDir makes it an fs.ReadDirFile.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(f.entries) {
		if n > 0 && len(f.entries) == 0 {
			return nil, io.EOF
		}
		n = len(f.entries)
	}
	out := f.entries[:n:n]
	f.entries = f.entries[n:]
	return out, nil
}

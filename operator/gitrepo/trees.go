package gitrepo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Trees are read and written here, since a release rewrites a dozen of them, with thousands of entries: go-git's own way takes
// ten times as long. They are what Git makes of them, which a property test says.

var errTree = errors.New("not a tree")

// decodeTree lists a folder: entries of "<mode in octal digits> <name>\0<hash>". Modes are those that Git itself makes of what
// old versions wrote.
func decodeTree(content []byte) ([]object.TreeEntry, error) {
	text := string(content) // names are parts of it
	out := make([]object.TreeEntry, 0, len(text)/40)
	for len(text) > 0 {
		octal, rest, found := strings.Cut(text, " ")
		mode, err := strconv.ParseUint(octal, 8, 32)
		if !found || err != nil {
			return nil, fmt.Errorf("%w: entry %d has no mode", errTree, len(out))
		}
		name, rest, found := strings.Cut(rest, "\x00")
		if !found || len(rest) < len(plumbing.Hash{}) {
			return nil, fmt.Errorf("%w: entry %d is cut off", errTree, len(out))
		}
		// Whoever can push can make such a tree.
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%w: it has an entry %q", ErrPath, name)
		}
		entry := object.TreeEntry{Name: name, Mode: canonical(mode)}
		copy(entry.Hash[:], rest)
		out, text = append(out, entry), rest[len(entry.Hash):]
	}
	return out, nil
}

func canonical(mode uint64) filemode.FileMode {
	switch mode & 0o170000 {
	case 0o040000:
		return filemode.Dir
	case 0o120000:
		return filemode.Symlink
	case 0o100000:
		if mode&0o100 != 0 {
			return filemode.Executable
		}
		return filemode.Regular
	}
	return filemode.Submodule
}

// encodeTree sorts entries as Git does and writes them.
func encodeTree(entries []object.TreeEntry) []byte {
	slices.SortFunc(entries, byGit)
	size := 0
	for _, entry := range entries {
		size += len(entry.Name) + len("100644 \x00") + len(entry.Hash)
	}
	out := make([]byte, 0, size)
	for _, entry := range entries {
		out = strconv.AppendUint(out, uint64(entry.Mode), 8)
		out = append(out, ' ')
		out = append(out, entry.Name...)
		out = append(out, 0)
		out = append(out, entry.Hash[:]...)
	}
	return out
}

// byGit compares names as if those of folders ended in a slash.
func byGit(a, b object.TreeEntry) int {
	n := min(len(a.Name), len(b.Name))
	if c := strings.Compare(a.Name[:n], b.Name[:n]); c != 0 {
		return c
	}
	return cmp.Compare(after(a, n), after(b, n))
}

// after is the letter at n; past the end a slash for a folder, and what is before all others for a file.
func after(entry object.TreeEntry, n int) byte {
	switch {
	case n < len(entry.Name):
		return entry.Name[n]
	case entry.Mode == filemode.Dir:
		return '/'
	}
	return 0
}

// content is what an object holds.
func content(of plumbing.EncodedObject) (_ []byte, err error) {
	reader, err := of.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	out := bytes.NewBuffer(make([]byte, 0, of.Size()+bytes.MinRead))
	_, err = io.Copy(out, reader)
	return out.Bytes(), err
}

package artifact

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/operator/gitrepo/gitpath"
)

// Bounds of an artifact's files. docs/artifacts.md says them, too.
const (
	MaxFiles = 2000
	MaxFile  = 4 << 20  // bytes of one file: operator/gitrepo reads no larger one back
	MaxTotal = 32 << 20 // bytes of all files
	maxPath  = 512      // bytes: in the config repository a folder comes before it
)

// Files are what is in an artifact, by their paths from its root, with slashes.
type Files map[string][]byte

// Paths are the paths, sorted.
func (f Files) Paths() []string { return slices.Sorted(maps.Keys(f)) }

func (f Files) size() int64 {
	var total int64
	for _, content := range f {
		total += int64(len(content))
	}
	return total
}

// Read reads a folder as the files of an artifact. Sizes are looked at before anything is read. Errors wrap ErrTooLarge or
// ErrInvalid, with the file's path, or are the folder's own.
func Read(folder fs.FS) (Files, error) {
	paths, err := measure(folder)
	if err != nil {
		return nil, err
	}
	files := Files{}
	for _, name := range paths {
		if files[name], err = readFile(folder, name); err != nil {
			return nil, err
		}
	}
	return files, files.check()
}

// measure lists the files of a folder, if they are within the bounds.
func measure(folder fs.FS) ([]string, error) {
	var paths []string
	var total int64
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%w: %s is no file but a link or a device; put a file in its place", ErrInvalid, name)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		paths, total = append(paths, name), total+info.Size()
		return within(name, len(paths), info.Size(), total)
	})
	return paths, err
}

// within says whether a file is within the bounds: how many there are with it, its size, and that of all so far.
func within(name string, count int, size, total int64) error {
	switch {
	case size > MaxFile:
		return fmt.Errorf("%w: %.200q has more than %d MiB", ErrTooLarge, name, MaxFile>>20)
	case total > MaxTotal:
		return fmt.Errorf("%w: the files have more than %d MiB", ErrTooLarge, MaxTotal>>20)
	case count > MaxFiles:
		return fmt.Errorf("%w: there are more than %d files", ErrTooLarge, MaxFiles)
	}
	return nil
}

// readFile reads a file that was measured, and no more if it has grown.
func readFile(folder fs.FS, name string) (content []byte, err error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	if content, err = io.ReadAll(io.LimitReader(file, MaxFile+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, within(name, 0, int64(len(content)), 0)
}

// check says whether files can be released: their paths, and what kustomize would make of them. The sizes were checked.
func (f Files) check() error {
	if len(f) == 0 {
		return fmt.Errorf("%w: there are no files", ErrInvalid)
	}
	for _, name := range f.Paths() {
		if err := checkPath(name); err != nil {
			return err
		}
		for above := path.Dir(name); above != "."; above = path.Dir(above) {
			if _, both := f[above]; both {
				return fmt.Errorf("%w: %q is a file and a folder", ErrInvalid, above)
			}
		}
	}
	return f.checkManifests()
}

// checkPath says whether a file may have a path: one that can be written to the config repository, and that tells neither
// Git nor Flux anything.
func checkPath(name string) error {
	if err := gitpath.Check(name); err != nil || len(name) > maxPath {
		return fmt.Errorf("%w: %.200q is no path that can be in an artifact", ErrInvalid, name)
	}
	base := strings.ToLower(path.Base(name))
	if base == ".sourceignore" || strings.HasPrefix(base, ".git") {
		return fmt.Errorf("%w: %q would tell Git or Flux to treat files differently; push the folder of the rendered manifests alone", ErrInvalid, name)
	}
	return nil
}

package inputs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names of a volume that is replaced as a whole: every file "a/b" is the link a -> ..data/a, and ..data is a link to the
// folder with the present contents. Programs that watch for the change of ..data work as on any cluster.
const (
	dataLink    = "..data"
	newDataLink = "..data_tmp"
)

// writeAtomic makes dir hold exactly files, changing them all at one moment; nothing is touched when nothing has changed.
func writeAtomic(dir string, files map[string]file, group *int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data := filepath.Join(dir, dataLink)
	if same, err := holds(data, files); same || err != nil {
		return err
	}
	next, err := writeNext(dir, files, group)
	if err != nil {
		return err
	}
	before, err := os.Readlink(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := switchTo(dir, next); err != nil {
		return err
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if before != "" {
		return os.RemoveAll(filepath.Join(dir, before))
	}
	return nil
}

// holds says whether a folder has exactly these files.
func holds(data string, files map[string]file) (bool, error) {
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	root, err := filepath.EvalSymlinks(data)
	if err != nil {
		return false, err
	}
	seen := 0
	same := true
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(path)
		want, ok := files[name]
		seen++
		same = same && ok && bytes.Equal(have, want.data)
		return err
	})
	return same && seen == len(files), err
}

// writeNext writes the files into a new folder and returns its name within dir.
func writeNext(dir string, files map[string]file, group *int64) (string, error) {
	next, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return "", err
	}
	if err := own(next, 0o755, group); err != nil {
		return "", err
	}
	for name, f := range files {
		path := filepath.Join(next, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return "", err
		}
		if err := own(path, f.mode, group); err != nil {
			return "", err
		}
	}
	return filepath.Base(next), nil
}

// own sets a mode past the umask and, with a group, gives the group what a kubelet gives a pod's fsGroup.
func own(path string, mode fs.FileMode, group *int64) error {
	if group != nil {
		if err := os.Chown(path, -1, int(*group)); err != nil {
			return err
		}
		mode |= 0o440
	}
	return os.Chmod(path, mode)
}

func switchTo(dir, next string) error {
	link := filepath.Join(dir, newDataLink)
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(next, link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(dir, dataLink))
}

// linkNames makes the visible names those of files.
func linkNames(dir string, files map[string]file) error {
	visible := map[string]bool{}
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		visible[top] = true
	}
	for name := range visible {
		err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !visible[e.Name()] && !strings.HasPrefix(e.Name(), "..") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

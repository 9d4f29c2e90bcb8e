package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNoRepository: no parent folder holds Fairway's go.mod.
var ErrNoRepository = errors.New("not inside a checkout of Fairway")

const rootModule = "module github.com/fairway-dev/fairway\n"

// FindRepository returns the folder of Fairway's root module that dir is in, or ErrNoRepository.
func FindRepository(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), rootModule) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoRepository
		}
		dir = parent
	}
}

// hash names what a tool is built from: 16 hex digits over salt (Go version, flags), the names and
// bytes of the module's files, and the files also.
func hash(dir string, skip, also []string, salt ...string) (string, error) {
	sum := sha256.New()
	for _, s := range salt {
		fmt.Fprintf(sum, "%q\n", s)
	}
	// WalkDir is in lexical order, so the hash is too.
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (isIgnored(entry.Name()) || slices.Contains(skip, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !isSource(entry) {
			return nil
		}
		return hashFile(sum, path, name)
	})
	if err != nil {
		return "", fmt.Errorf("hash %s: %w", dir, err)
	}
	for _, path := range also {
		if err := hashFile(sum, path, filepath.Base(path)); err != nil {
			return "", fmt.Errorf("hash %s: %w", path, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func isIgnored(dir string) bool {
	return strings.HasPrefix(dir, ".") || dir == "testdata" || dir == "node_modules"
}

// isSource keeps what go build may read, embedded files included, and leaves out tests and prose.
func isSource(entry fs.DirEntry) bool {
	name := entry.Name()
	return entry.Type().IsRegular() && !strings.HasPrefix(name, ".") &&
		!strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".md")
}

func hashFile(w io.Writer, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Fprintf(w, "%q\n", filepath.ToSlash(name))
	_, err = io.Copy(w, file)
	return err
}

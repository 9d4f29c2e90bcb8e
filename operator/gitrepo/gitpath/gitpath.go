// Package gitpath says which paths can be written to a Git repository. It needs no Git library.
package gitpath

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
)

// Max is the length, in bytes, of the longest path that is written.
const Max = 1024

// ErrPath: a path that cannot be written: it climbs out, or something else is in its place.
var ErrPath = errors.New("not a path that can be written")

// Check says whether a path can be written: relative, clean, with slashes, and nothing of Git's own. Its error
// wraps ErrPath.
func Check(path string) error {
	if !fs.ValidPath(path) || path == "." || len(path) > Max {
		return fmt.Errorf("%w: %.200q", ErrPath, path)
	}
	for part := range strings.SplitSeq(path, "/") {
		// What file systems that fold case, or Windows, take for .git, is .git.
		folded := strings.ToLower(strings.TrimRight(part, ". "))
		if folded == ".git" || folded == "git~1" || folded == "" || strings.ContainsFunc(part, unsafe) {
			return fmt.Errorf("%w: %.200q", ErrPath, path)
		}
	}
	return nil
}

// unsafe are characters that mislead whoever reads or checks out a path.
func unsafe(r rune) bool {
	return r == '\\' || r == ':' || r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

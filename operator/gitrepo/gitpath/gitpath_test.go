package gitpath

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", ".git/x", "a//b", "a\\b", "git~1", "\x00", strings.Repeat("a/", 600)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if Check(path) != nil {
			return
		}
		joined := filepath.Join("/root", path)
		if !strings.HasPrefix(joined, "/root/") || strings.Contains(strings.ToLower(joined), "/.git/") || strings.ContainsAny(path, "\n\x00\\") {
			t.Errorf("%q is taken", path)
		}
	})
}

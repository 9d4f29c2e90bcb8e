package gitrepo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

func TestMirror(t *testing.T) {
	from, dir := server(t)
	m := NewMirror()
	fetch := func() *Snapshot {
		t.Helper()
		s, err := m.Fetch(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		if want := "main@sha1:" + gittest.Git(t, dir, "rev-parse", "main"); s.Revision() != want {
			t.Errorf("fetched %s, the branch is at %s", s.Revision(), want)
		}
		return s
	}
	empty := fetch()
	gittest.Commit(t, dir, map[string]string{"clusters/a/one.yaml": "1"})
	one := fetch()
	if again := fetch(); again != one {
		t.Error("nothing new makes another snapshot")
	}
	gittest.Commit(t, dir, map[string]string{"clusters/a/two.yaml": "2"})
	gittest.Commit(t, dir, map[string]string{"platform/base/three.yaml": "3"})
	gittest.Commit(t, dir, map[string]string{"clusters/a/one.yaml": "1b"})
	three := fetch()
	for name, c := range map[string]struct {
		at   *Snapshot
		path string
		want string // "": it is not there
	}{
		"an empty tree has nothing":         {empty, "clusters/a/one.yaml", ""},
		"an old snapshot stays as it was":   {one, "clusters/a/one.yaml", "1"},
		"an old snapshot gets nothing new":  {one, "clusters/a/two.yaml", ""},
		"a new one has what was not sent":   {three, "clusters/a/two.yaml", "2"},
		"a new one has what changed":        {three, "clusters/a/one.yaml", "1b"},
		"a file is no folder":               {three, "clusters/a/one.yaml/x", ""},
		"a new one has what is in a folder": {three, "platform/base/three.yaml", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fs.ReadFile(c.at, c.path)
			if string(got) != c.want || (c.want == "") != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for path, want := range map[string]bool{"clusters": false, "clusters/a/one.yaml": false, "platform": false, "nowhere": true, "../x": false} {
		if one.Same(three, path) != want || three.Same(one, path) != want || path != "../x" && !three.Same(three, path) {
			t.Errorf("%s is the same: not %t", path, want)
		}
	}
	if err := fstest.TestFS(three, "clusters/a/one.yaml", "clusters/a/two.yaml", "platform/base/three.yaml"); err != nil {
		t.Error(err)
	}
	gittest.Git(t, dir, "update-ref", "refs/heads/main", one.hash.String()) // somebody forces the branch back
	back := fetch()
	if back.hash != one.hash {
		t.Errorf("fetched %s", back.hash)
	}
	if err := fstest.TestFS(back, "clusters/a/one.yaml"); err != nil {
		t.Error(err)
	}
}

// What is no longer in the branch is let go of.
func TestAMirrorStaysSmall(t *testing.T) {
	from, dir := server(t)
	m := NewMirror()
	stranger := gittest.Stranger{Dir: dir}
	for range 2*maxLayers + 3 {
		if err := stranger.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := m.Fetch(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for layer := s.objects; layer != nil; layer = layer.base {
			held += len(layer.own)
		}
		if held > 4*maxLayers { // a commit, its tree, a file, and the commit that it is on
			t.Fatalf("%d objects are held", held)
		}
	}
}

// A server that takes the history of what is held for known leaves out what is in it, also what is not held.
func TestAFetchIsWhole(t *testing.T) {
	from, dir := server(t)
	m := NewMirror()
	gittest.Commit(t, dir, map[string]string{"clusters/a/one.yaml": "old", "other": "1"})
	old := gittest.Git(t, dir, "rev-parse", "main")
	gittest.Commit(t, dir, map[string]string{"clusters/a/one.yaml": "new"})
	if _, err := m.Fetch(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	tree := gittest.Git(t, dir, "rev-parse", old+"^{tree}")
	for _, parents := range [][]string{{"-p", old}, {"-p", old, "-p", "main"}, {"-p", "main"}} { // forced to a fork, a merge that takes back, a revert
		commit := gittest.Git(t, dir, append([]string{"commit-tree", tree, "-m", "back"}, parents...)...)
		gittest.Git(t, dir, "update-ref", "refs/heads/main", commit)
		s, err := m.Fetch(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(s, "clusters/a/one.yaml"); err != nil || string(got) != "old" {
			t.Errorf("%v: %q, %v", parents, got, err)
		}
		gittest.Commit(t, dir, map[string]string{"clusters/a/one.yaml": "new " + commit})
		if _, err := m.Fetch(t.Context(), from); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotAFileIsNotRead(t *testing.T) {
	from, dir := server(t)
	work := filepath.Join(t.TempDir(), "work")
	gittest.Git(t, dir, "clone", "--quiet", dir, work)
	large := strings.Repeat("x", maxFile+1)
	if err := errors.Join(
		os.Symlink("/etc/passwd", filepath.Join(work, "link")),
		os.WriteFile(filepath.Join(work, "large"), []byte(large), 0o600),
		os.WriteFile(filepath.Join(work, "run"), []byte("#!"), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	gittest.Git(t, work, "add", "-A")
	gittest.Git(t, work, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",module")
	gittest.Git(t, work, "commit", "--quiet", "-m", "x")
	gittest.Git(t, work, "push", "--quiet", "origin", "main")
	s, err := NewMirror().Fetch(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"link": fs.ModeSymlink | 0o444, "module": fs.ModeIrregular, "run": 0o555, "large": 0o444} {
		info, err := s.Stat(name)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		_, err = s.ReadFile(name)
		if (err == nil) != (name == "run") || (name == "large") != errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"../x", "/x", "a/../b", ""} {
		if _, err := s.Open(bad); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

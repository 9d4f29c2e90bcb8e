package gitrepo

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// cli makes trees with git itself, from an index of its own.
type cli struct {
	dir, index string
	blobs      map[string]string // by content: there are few
	t          *testing.T
}

func (c cli) git(input string, args ...string) string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "git", args...)
	command.Dir = c.dir
	command.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "HOME=" + c.dir, "PATH=/usr/local/bin:/usr/bin:/bin", "GIT_INDEX_FILE=" + c.index}
	command.Stdin = strings.NewReader(input)
	out, err := command.Output()
	if err != nil {
		c.t.Fatalf("git %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// tree is that of a set of files.
func (c cli) tree(files map[string]string) string {
	c.t.Helper()
	lines := ""
	for path, content := range files {
		if c.blobs[content] == "" {
			c.blobs[content] = c.git(content, "hash-object", "-w", "--stdin")
		}
		lines += fmt.Sprintf("100644 %s\t%s\n", c.blobs[content], path)
	}
	c.git(lines, "update-index", "--add", "--index-info")
	return c.git("", "write-tree")
}

// Names whose order differs between files, folders and Git's own.
var names = []string{"a", "a.b", "a-b", "a0", "ab", "A", "ü", "a b", "b"}

func drawEdits(t *rapid.T) map[string]Edit {
	edits := map[string]Edit{}
	for range rapid.IntRange(1, 6).Draw(t, "edits") {
		depth := rapid.IntRange(1, 3).Draw(t, "depth")
		path := strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), depth, depth).Draw(t, "path"), "/")
		edits[path] = Edit{Path: path, Delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0, Content: []byte(rapid.SampledFrom([]string{"", "x", "y\n"}).Draw(t, "content"))}
	}
	return edits
}

// clash says whether a path is a file and a folder at once, which Git's index settles by deleting one.
func clash(paths []string) bool {
	for _, file := range paths {
		for _, other := range paths {
			if strings.HasPrefix(other, file+"/") {
				return true
			}
		}
	}
	return false
}

// Trees that are built from trees are those that git builds from an index.
func TestTreesAreGits(t *testing.T) {
	dir := t.TempDir()
	gittest.Git(t, dir, "init", "--quiet", "--bare", ".")
	round, blobs := 0, map[string]string{}
	rapid.Check(t, func(rt *rapid.T) {
		round++
		git := cli{dir: dir, index: filepath.Join(dir, fmt.Sprintf("index-%d", round)), blobs: blobs, t: t}
		defer os.Remove(git.index)
		store, tree, files := over(nil), plumbing.ZeroHash, map[string]string{}
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			edits := drawEdits(rt)
			after := maps.Clone(files)
			for path, edit := range edits {
				after[path] = string(edit.Content)
				if edit.Delete {
					delete(after, path)
				}
			}
			next, err := store.rewrite(tree, edits)
			if clash(append(slices.Collect(maps.Keys(edits)), slices.Collect(maps.Keys(files))...)) {
				if err != nil && !errors.Is(err, ErrPath) {
					rt.Fatal(err)
				}
				continue // what Git makes of a file that is a folder, too, is not asked for
			}
			if err != nil {
				rt.Fatalf("%v: %v", edits, err)
			}
			tree, files = next, after
		}
		have := tree.String()
		if tree == plumbing.ZeroHash {
			have = "4b825dc642cb6eb9a060e54bf8d69288fbee4904" // git's empty tree
		}
		if want := git.tree(files); have != want {
			rt.Fatalf("tree %s, and git has %s, of %v", have, want, files)
		}
	})
}

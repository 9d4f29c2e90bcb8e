package gitrepo

import (
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// Git unpacks what is packed, alone or on what it has.
func TestGitReadsAPack(t *testing.T) {
	edits := map[string]Edit{}
	for n := range 100 {
		path := "releases/team/service-" + strings.Repeat("x", n) + "/app.yaml"
		edits[path] = Edit{Path: path, Content: []byte(strings.Repeat(path, 10*n))}
	}
	first := over(nil)
	tree, err := first.rewrite(plumbing.ZeroHash, edits)
	if err != nil {
		t.Fatal(err)
	}
	second := over(first)
	next, err := second.rewrite(tree, map[string]Edit{"releases/team/service-xx/app.yaml": {Content: []byte("other")}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(second.own); n != 5 { // a file, and the folders that it is in
		t.Errorf("%d objects are new", n)
	}
	dir := t.TempDir()
	gittest.Git(t, dir, "init", "--quiet", "--bare", ".")
	for _, each := range []*objects{second.since(nil), first, second.since(first)} {
		pack, err := each.pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gittest.Run(t.Context(), dir, pack.String(), "index-pack", "--stdin", "--strict"); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		path := "releases/team/service-" + strings.Repeat("x", n) + "/app.yaml"
		want := strings.Repeat(path, 10*n)
		if n == 2 {
			want = "other"
		}
		if got := gittest.Git(t, dir, "show", next.String()+":"+path); got != want {
			t.Errorf("%s has %d bytes, not %d", path, len(got), len(want))
		}
	}
	gittest.Git(t, dir, "fsck", "--strict", "--full")
}

// What is taken for a tree is one for go-git, too, with the same entries, and comes out as it went in.
func FuzzTree(f *testing.F) {
	f.Add([]byte("100644 a\x0001234567890123456789" + "40000 b\x0001234567890123456789"))
	f.Add([]byte("100664 a\x0001234567890123456789"))
	f.Add([]byte("120000 ..\x0001234567890123456789"))
	f.Add([]byte("100644 a\x00short"))
	f.Add([]byte("9 a\x0001234567890123456789"))
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := decodeTree(content)
		if err != nil {
			return
		}
		encoded := &plumbing.MemoryObject{}
		encoded.SetType(plumbing.TreeObject)
		if _, err := encoded.Write(content); err != nil {
			t.Fatal(err)
		}
		theirs := object.Tree{}
		if err := theirs.Decode(encoded); err != nil {
			t.Fatalf("%q: %v", content, err)
		}
		if len(theirs.Entries) != len(entries) {
			t.Fatalf("%q: %v, not %v", content, entries, theirs.Entries)
		}
		for i, entry := range theirs.Entries {
			if entries[i].Name != entry.Name || entries[i].Hash != entry.Hash {
				t.Errorf("%q: %v, not %v", content, entries[i], entry)
			}
		}
		again, err := decodeTree(encodeTree(entries))
		if err != nil || len(again) != len(entries) {
			t.Errorf("%q: %v, %v", content, again, err)
		}
	})
}

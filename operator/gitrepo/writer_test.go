package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// server serves a repository that takes pushes, and says where it lies.
func server(t *testing.T) (to Remote, dir string) {
	t.Helper()
	url, dir := gittest.Server(t)
	return Remote{URL: url, Branch: "main"}, dir
}

func startWriter(t *testing.T) *Writer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	clock := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	w := NewWriter(NewMirror(), Identity{Name: "Fairway", Email: "fairway@example.com"}, func() time.Time { return clock })
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

func set(path, content string) Change {
	return Change{Message: Message{Subject: "set " + path}, Edit: func(fs.FS) ([]Edit, error) {
		return []Edit{{Path: path, Content: []byte(content)}}, nil
	}}
}

func remove(path string) Change {
	return Change{Message: Message{Subject: "remove " + path}, Edit: func(fs.FS) ([]Edit, error) {
		return []Edit{{Path: path, Delete: true}}, nil
	}}
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	return strings.Fields(gittest.Git(t, dir, "ls-tree", "-r", "--name-only", "main"))
}

func TestSubmit(t *testing.T) {
	to, dir := server(t)
	w := startWriter(t)
	submit := func(c Change) string {
		t.Helper()
		got, err := w.Submit(t.Context(), to, c)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := submit(Change{
		Author: Identity{Name: "Dev <x>\n", Email: "dev@example.com"},
		Message: Message{Subject: "release payments/ledger", Body: "Because.", Trailers: []Trailer{
			{"Requested-By", "dev@example.com\nIntent: Forged"}, {"Release", "payments/ledger-7k2x9"}}},
		Edit: set("clusters/a/app.yaml", "one\n").Edit,
	})
	if head := "main@sha1:" + gittest.Git(t, dir, "rev-parse", "main"); first != head {
		t.Errorf("submitted %s, the branch is at %s", first, head)
	}
	want := "Dev x <dev@example.com> Fairway <fairway@example.com> 2026-11-28T12:00:00Z\nrelease payments/ledger\n\nBecause.\n\n" +
		"Requested-By: dev@example.com Intent: Forged\nRelease: payments/ledger-7k2x9"
	if got := gittest.Git(t, dir, "log", "-1", "--format=%an <%ae> %cn <%ce> %cI%n%B", "main"); got != strings.ReplaceAll(want, "Z\n", "+00:00\n") && got != want {
		t.Errorf("the commit says:\n%s\nnot:\n%s", got, want)
	}
	if again := submit(set("clusters/a/app.yaml", "one\n")); again != first {
		t.Errorf("no change made the commit %s", again)
	}
	submit(set("clusters/a/more/other.yaml", "two\n"))
	submit(remove("clusters/a/app.yaml"))
	submit(remove("not/there"))
	submit(remove("clusters/a/more/other.yaml/below-a-file"))
	if diff := listing(t, dir); !slices.Equal(diff, []string{"clusters/a/more/other.yaml"}) {
		t.Errorf("files: %v", diff)
	}
	submit(remove("clusters/a/more/other.yaml")) // the last file
	if got := listing(t, dir); len(got) != 0 {
		t.Errorf("files: %v", got)
	}
	if got := gittest.Git(t, dir, "rev-list", "--count", "main"); got != "5" {
		t.Errorf("%s commits, not the first one and four", got)
	}
	gittest.Git(t, dir, "fsck", "--strict", "--full")
}

func TestWhatIsRefusedWritesNothing(t *testing.T) {
	to, dir := server(t)
	gittest.Commit(t, dir, map[string]string{"a/file": "x"})
	w := startWriter(t)
	before := gittest.Git(t, dir, "rev-parse", "main")
	precondition := errors.New("it is another one now")
	for name, c := range map[string]struct {
		change Change
		want   error
	}{
		"a path that climbs out":            {set("../x", ""), ErrPath},
		"a path that climbs out later":      {set("a/../../x", ""), ErrPath},
		"an absolute path":                  {set("/etc/passwd", ""), ErrPath},
		"an empty path":                     {set("", ""), ErrPath},
		"the root":                          {set(".", ""), ErrPath},
		"Git's own folder":                  {set(".git/hooks/pre-push", ""), ErrPath},
		"Git's own folder in another case":  {set("a/.GIT/config", ""), ErrPath},
		"Git's own folder on Windows":       {set("git~1/config", ""), ErrPath},
		"Git's own folder with a dot":       {set(".git./config", ""), ErrPath},
		"a name with a line end":            {set("a\nb", ""), ErrPath},
		"a name with an invisible mark":     {set("a\u202eb", ""), ErrPath},
		"a name that is no text":            {set("a\xffb", ""), ErrPath},
		"a deletion outside":                {remove("../x"), ErrPath},
		"a file where a folder is":          {set("a", ""), ErrPath},
		"a folder where a file is":          {set("a/file/below", ""), ErrPath},
		"a file that is too large":          {set("b", strings.Repeat("x", maxFile+1)), ErrTooLarge},
		"a precondition that does not hold": {Change{Edit: func(fs.FS) ([]Edit, error) { return nil, precondition }}, precondition},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Submit(t.Context(), to, c.change); !errors.Is(err, c.want) {
				t.Errorf("%v is not %v", err, c.want)
			}
			if after := gittest.Git(t, dir, "rev-parse", "main"); after != before {
				t.Errorf("the branch moved to %s", after)
			}
		})
	}
}

// The branch moves between building and pushing: the change is built anew on what is there then.
func TestAChangeIsBuiltAnewOnABranchThatMoved(t *testing.T) {
	to, dir := server(t)
	w := startWriter(t)
	calls := 0
	_, err := w.Submit(t.Context(), to, Change{Message: Message{Subject: "ours"}, Edit: func(files fs.FS) ([]Edit, error) {
		calls++
		if calls == 1 {
			gittest.Commit(t, dir, map[string]string{"theirs": "x"})
			return []Edit{{Path: "ours", Content: []byte("1")}}, nil
		}
		theirs, err := fs.ReadFile(files, "theirs")
		return []Edit{{Path: "ours", Content: append(theirs, '2')}}, err
	}})
	if err != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	if got := gittest.Git(t, dir, "show", "main:ours"); got != "x2" {
		t.Errorf("ours is %q", got)
	}
	if got := gittest.Git(t, dir, "log", "--format=%s", "main"); got != "ours\nforeign theirs\nfirst" {
		t.Errorf("history:\n%s", got)
	}
}

// released is a change of several files that holds only on what the service had before.
func released(service, generation int) Change {
	name := fmt.Sprintf("service-%d", service)
	edits := releaseEdits(name, generation)
	return Change{Message: Message{Subject: fmt.Sprintf("release %s %d", name, generation)}, Edit: func(files fs.FS) ([]Edit, error) {
		before, err := fs.ReadFile(files, edits[0].Path)
		if want := fmt.Sprintf("%d\n", generation-1); generation > 0 && string(before) != want {
			return nil, fmt.Errorf("%s is %q, not %q: %w", edits[0].Path, before, want, err)
		}
		return edits, nil
	}}
}

func releaseEdits(service string, generation int) []Edit {
	var out []Edit
	for _, cluster := range []string{"aws", "azure"} {
		out = append(out, Edit{Path: "clusters/" + cluster + "/team/" + service + ".yaml", Content: fmt.Appendf(nil, "%d\n", generation)})
	}
	for _, file := range []string{"app.yaml", "same.yaml", "deep/config.yaml"} {
		content := fmt.Appendf(nil, "%s of %s\n", file, service)
		if file != "same.yaml" {
			content = fmt.Appendf(content, "%d\n", generation)
		}
		out = append(out, Edit{Path: fmt.Sprintf("releases/team/%s/%d/%s", service, generation, file), Content: content})
	}
	return out
}

// Fifty services are released at once, again and again, while somebody else pushes to the branch: all land, each in one
// commit with all of its files, and nobody's commit is lost. Who hears that the branch kept moving asks again.
func TestNothingIsLostWhenManyReleaseAtOnce(t *testing.T) {
	const services, rounds, strangers = 50, 3, 20
	to, dir := server(t)
	w := startWriter(t)
	var all sync.WaitGroup
	all.Go(func() {
		stranger := gittest.Stranger{Dir: dir}
		for range strangers {
			if err := stranger.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	for service := range services {
		all.Go(func() {
			for generation := range rounds {
				_, err := w.Submit(t.Context(), to, released(service, generation))
				for errors.Is(err, ErrMoved) {
					_, err = w.Submit(t.Context(), to, released(service, generation))
				}
				if err != nil {
					t.Errorf("service %d: %v", service, err)
				}
			}
		})
	}
	all.Wait()
	wanted := map[string]string{"first": ""}
	for n := range strangers {
		wanted[fmt.Sprintf("stranger %d", n+1)] = "stranger"
	}
	for service := range services {
		for generation := range rounds {
			var paths []string
			for _, edit := range releaseEdits(fmt.Sprintf("service-%d", service), generation) {
				paths = append(paths, edit.Path)
			}
			slices.Sort(paths)
			wanted[released(service, generation).Message.Subject] = strings.Join(paths, " ")
		}
	}
	if diff := cmp.Diff(wanted, history(t, dir)); diff != "" {
		t.Errorf("commits and what they changed (-want +got):\n%s", diff)
	}
	gittest.Git(t, dir, "fsck", "--strict", "--full")
}

// history is the subject of each commit of the branch, and what it changed. Every commit has one parent.
func history(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for commit := range strings.SplitSeq(gittest.Git(t, dir, "log", "--format=%x00%s", "--name-only", "--max-parents=1", "main"), "\x00") {
		if subject, paths, _ := strings.Cut(commit, "\n"); subject != "" {
			if _, twice := out[subject]; twice {
				t.Errorf("%q is there twice", subject)
			}
			out[subject] = strings.Join(strings.Fields(paths), " ")
		}
	}
	return out
}

// What is held is read by others meanwhile.
func TestNothingToChangeLeavesWhatIsHeld(t *testing.T) {
	to, _ := server(t)
	w := startWriter(t)
	if _, err := w.Submit(t.Context(), to, set("x", "y")); err != nil {
		t.Fatal(err)
	}
	held := w.Mirror.Held(to.URL, to.Branch)
	before := *held
	if _, err := w.Submit(t.Context(), to, set("x", "y")); err != nil {
		t.Fatal(err)
	}
	if after := w.Mirror.Held(to.URL, to.Branch); after != held || *after != before {
		t.Errorf("%+v became %+v", before, *after)
	}
}

const hook = `#!/bin/sh
while read old new ref; do
  if git ls-tree -r --name-only "$new" | grep -q forbidden; then
    echo "policy: no forbidden files"
    exit 1
  fi
done
`

func TestAHookRefusesOneChangeAndNotTheOthers(t *testing.T) {
	to, dir := server(t)
	if err := os.WriteFile(filepath.Join(dir, "hooks", "pre-receive"), []byte(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	// Not started yet, so that all three go out together.
	w := NewWriter(NewMirror(), Identity{Name: "Fairway", Email: "f@example.com"}, time.Now)
	batch := []*request{}
	for _, path := range []string{"good-1", "forbidden", "good-2"} {
		batch = append(batch, &request{ctx: t.Context(), to: to, change: set(path, "x"), done: make(chan struct{})})
	}
	w.write(t.Context(), batch)
	for i, r := range batch {
		<-r.done
		if refused := i == 1; refused != errors.Is(r.err, ErrRefused) || (!refused && r.err != nil) {
			t.Errorf("change %d: %v", i, r.err)
		}
	}
	if text := batch[1].err.Error(); !strings.Contains(text, "policy: no forbidden files") || !strings.Contains(text, "hook declined") {
		t.Errorf("the server's words are missing: %s", text)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"good-1", "good-2"}) {
		t.Errorf("files: %v", got)
	}
	pushes := strings.Fields(gittest.Git(t, dir, "rev-list", "main"))
	if len(pushes) != 3 {
		t.Errorf("%d commits", len(pushes))
	}
}

func TestWhyNothingCanBeWritten(t *testing.T) {
	root, _ := gittest.Repositories(t)
	writable := filepath.Join(root, "config.git")
	open := httptest.NewServer(gittest.Backend(t, root)) // reads are served, and pushes are not switched on
	defer open.Close()
	bearer := httptest.NewServer(guarded(gittest.Backend(t, root), "Bearer token"))
	defer bearer.Close()
	w := startWriter(t)
	for name, c := range map[string]struct {
		to   Remote
		want error
		says string
	}{
		"a server that lets one read only": {Remote{URL: open.URL + "/config.git", Branch: "main"}, ErrRefused, "writeSecretRef"},
		"credentials that are wrong":       {Remote{URL: bearer.URL + "/config.git", Branch: "main", Auth: Auth{KeyBearer: []byte("x")}}, ErrAuth, "writeSecretRef"},
		"a branch that is not there":       {Remote{URL: open.URL + "/config.git", Branch: "other"}, ErrBranch, `"other"`},
		"a repository without a commit":    {Remote{URL: open.URL + "/empty.git", Branch: "main"}, ErrBranch, "first commit"},
		"a repository that is not there":   {Remote{URL: open.URL + "/none.git", Branch: "main"}, ErrNotFound, ""},
		"a host that is away":              {Remote{URL: "http://127.0.0.1:1/config.git", Branch: "main"}, ErrUnreachable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Submit(t.Context(), c.to, set("x", "y")); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, not %v that says %q", err, c.want, c.says)
			}
		})
	}
	if got := listing(t, writable); len(got) != 0 {
		t.Errorf("files: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Submit(ctx, Remote{}, set("x", "y")); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone away got %v", err)
	}
}

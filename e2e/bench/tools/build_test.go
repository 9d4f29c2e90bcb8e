package tools

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// newRepository makes a module "hello" whose program prints text.
func newRepository(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hello", "go.mod"), "module example.com/hello\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "hello", "main.go"), "package main\n\nfunc main() { println(\""+text+"\") }\n")
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newTestBuilder(t *testing.T, repository, cache string, progress io.Writer) *builder {
	t.Helper()
	b, err := newBuilder(t.Context(), Options{Repository: repository, Cache: cache, Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var hello = []Tool{{Name: "hello", Dir: "hello", Takes: "a moment", packages: []string{"."}}}

func run(t *testing.T, set *Set) string {
	t.Helper()
	out, err := exec.Command(set.File("hello", "hello")).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestABuildIsDoneOnceAndAgainWhenASourceChanges(t *testing.T) {
	repository, cache := newRepository(t, "one"), t.TempDir()
	var progress bytes.Buffer
	b := newTestBuilder(t, repository, cache, &progress)
	set, err := b.buildAll(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, set); got != "one" {
		t.Errorf("the program says %q", got)
	}
	if !strings.Contains(progress.String(), "building hello (1/1, takes a moment the first time)") {
		t.Errorf("progress: %q", progress.String())
	}

	progress.Reset()
	write(t, filepath.Join(repository, "hello", "main_test.go"), "package main\n")
	write(t, filepath.Join(repository, "hello", "README.md"), "hello\n")
	if _, err := b.buildAll(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	if progress.Len() > 0 {
		t.Errorf("built again for a test and a README: %q", progress.String())
	}

	write(t, filepath.Join(repository, "hello", "main.go"), "package main\n\nfunc main() { println(\"two\") }\n")
	if set, err = b.buildAll(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	if got := run(t, set); got != "two" {
		t.Errorf("after the change the program says %q", got)
	}
}

func TestABuildThatFailsShowsTheCompilerAndLeavesNothing(t *testing.T) {
	repository, cache := newRepository(t, "one"), t.TempDir()
	write(t, filepath.Join(repository, "hello", "main.go"), "package main\n\nfunc main() { undefined() }\n")
	_, err := newTestBuilder(t, repository, cache, io.Discard).buildAll(t.Context(), hello)
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") || !strings.Contains(err.Error(), "build.log") {
		t.Errorf("got %v, want the compiler's words and the log", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "hello", "*-*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTwoBuildsAtOnceBuildOnce(t *testing.T) {
	repository, cache := newRepository(t, "one"), t.TempDir()
	outputs := make([]bytes.Buffer, 4)
	errs := make([]error, len(outputs))
	var group sync.WaitGroup
	for i := range outputs {
		b := newTestBuilder(t, repository, cache, &outputs[i])
		group.Go(func() { _, errs[i] = b.buildAll(t.Context(), hello) })
	}
	group.Wait()
	built := 0
	for i := range outputs {
		built += strings.Count(outputs[i].String(), "built hello in")
	}
	if err := errors.Join(errs...); err != nil || built != 1 {
		t.Errorf("built %d times, %v", built, err)
	}
}

func TestPruneKeepsTheNewestAndWhatWasUsedToday(t *testing.T) {
	parent, now := t.TempDir(), time.Now()
	for name, age := range map[string]time.Duration{
		"now": 0, "hour": time.Hour, "day-ago": 25 * time.Hour, "week-ago": 7 * 24 * time.Hour, "this-morning": 9 * time.Hour,
		"unfinished-1": time.Minute,
	} {
		dir := filepath.Join(parent, name)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chtimes(dir, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(parent, now); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != "hour now this-morning" {
		t.Errorf("kept %s", got)
	}
}

func TestEveryToolHasAModule(t *testing.T) {
	repository, err := FindRepository(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range All() {
		if _, err := os.Stat(filepath.Join(repository, tool.Dir, "go.mod")); err != nil {
			t.Errorf("%s: %v", tool.Name, err)
		}
	}
}

package gitserver_test

import (
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
)

func newRepository(t *testing.T, credentials gitserver.Credentials) *gitserver.Repository {
	t.Helper()
	server, err := gitserver.Start(t.Context(), t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	repository, err := server.CreateRepository(t.Context(), "config", credentials)
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

func commit(t *testing.T, r *gitserver.Repository, files map[string]string) string {
	t.Helper()
	hash, err := r.Commit(t.Context(), "main", files, "a change")
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestACloneHoldsWhatWasCommitted(t *testing.T) {
	r := newRepository(t, gitserver.Credentials{})
	commit(t, r, map[string]string{"clusters/a/app.yaml": "one\n", "gone.yaml": "x\n"})
	hash := commit(t, r, map[string]string{"clusters/a/app.yaml": "two\n", "gone.yaml": gitserver.Delete})

	dir := t.TempDir()
	if out, err := git(t, dir, "clone", "--quiet", r.URL, "."); err != nil {
		t.Fatal(out)
	}
	if got, _ := git(t, dir, "rev-parse", "HEAD"); got != hash {
		t.Errorf("HEAD is %s, want %s", got, hash)
	}
	if got, _ := git(t, dir, "ls-tree", "-r", "--name-only", "HEAD"); got != "clusters/a/app.yaml" {
		t.Errorf("files: %q", got)
	}
	if got, err := r.Read(t.Context(), "main", "clusters/a/app.yaml"); got != "two" || err != nil {
		t.Errorf("Read = %q, %v", got, err)
	}
}

func TestAPushOfAPackOfUnknownLengthArrives(t *testing.T) {
	r := newRepository(t, gitserver.Credentials{})
	commit(t, r, map[string]string{"a": "a\n"})
	dir := t.TempDir()
	if out, err := git(t, dir, "clone", "--quiet", r.URL, "."); err != nil {
		t.Fatal(out)
	}
	random, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer random.Close()
	big, err := io.ReadAll(io.LimitReader(random, 3<<20)) // above http.postBuffer: git sends it in chunks
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "."}, {"commit", "--quiet", "-m", "big"}, {"push", "--quiet", "origin", "main"}} {
		if out, err := git(t, dir, args...); err != nil {
			t.Fatal(args, out)
		}
	}
	pushed, _ := git(t, dir, "rev-parse", "HEAD")
	if head, err := r.Head(t.Context(), "main"); head != pushed || err != nil {
		t.Errorf("Head = %s, %v, want %s", head, err, pushed)
	}
}

func TestCredentialsAreAskedFor(t *testing.T) {
	r := newRepository(t, gitserver.Credentials{Username: "flux", Password: "secret"})
	commit(t, r, map[string]string{"a": "a\n"})
	with := func(user *url.Userinfo) string {
		u, err := url.Parse(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = user
		return u.String()
	}
	for name, c := range map[string]struct {
		user *url.Userinfo
		ok   bool
	}{
		"the right ones are let in":  {url.UserPassword("flux", "secret"), true},
		"a wrong password is not":    {url.UserPassword("flux", "guess"), false},
		"nobody is not":              {nil, false},
		"an empty password is wrong": {url.UserPassword("flux", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := git(t, t.TempDir(), "ls-remote", with(c.user))
			if (err == nil) != c.ok {
				t.Errorf("ls-remote: %v: %s", err, out)
			}
		})
	}
}

func TestAnUnknownRepositoryIsNotFound(t *testing.T) {
	r := newRepository(t, gitserver.Credentials{})
	if out, err := git(t, t.TempDir(), "ls-remote", strings.Replace(r.URL, "config", "other", 1)); err == nil {
		t.Errorf("got %q", out)
	}
}

// Package gittest serves real Git repositories to tests: git's own http-backend on 127.0.0.1.
package gittest

import (
	"context"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Git runs git in a folder, without anybody's settings, and returns what it prints.
func Git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := Try(t, dir, args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

// Try is Git for what may fail.
func Try(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	out, err := command(t.Context(), dir, t.TempDir(), args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// command is git in a folder, without anybody's settings.
func command(ctx context.Context, dir, home string, args ...string) *exec.Cmd {
	out := exec.CommandContext(ctx, "git", args...)
	out.Dir = dir
	out.Env = []string{
		"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "PATH=/usr/local/bin:/usr/bin:/bin",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	return out
}

// Repositories makes a folder with a repository "config.git" of one commit, without files, on main, and
// an empty one, "empty.git". It returns the commit.
func Repositories(t *testing.T) (root, commit string) {
	t.Helper()
	root = t.TempDir()
	Git(t, root, "init", "--bare", "--initial-branch=main", "config.git")
	Git(t, root, "init", "--bare", "--initial-branch=main", "empty.git")
	work := filepath.Join(t.TempDir(), "work")
	Git(t, root, "clone", "config.git", work)
	Git(t, work, "checkout", "-b", "main")
	Git(t, work, "commit", "--allow-empty", "-m", "first")
	Git(t, work, "push", "origin", "main")
	return root, Git(t, work, "rev-parse", "HEAD")
}

// Backend is Git's own HTTP server for a folder of repositories.
func Backend(t *testing.T, root string) http.Handler {
	t.Helper()
	return &cgi.Handler{
		Path: filepath.Join(Git(t, root, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + root},
	}
}

// Server serves a repository that takes pushes from anybody, with one commit, without files, on main.
// dir is where it lies.
func Server(t *testing.T) (url, dir string) {
	t.Helper()
	root, _ := Repositories(t)
	dir = filepath.Join(root, "config.git")
	Git(t, dir, "config", "http.receivepack", "true")
	server := httptest.NewServer(Backend(t, root))
	t.Cleanup(server.Close)
	return server.URL + "/config.git", dir
}

// Commit makes a commit on a repository's main branch as a person does, from a clone: each path gets its
// content; an empty one deletes.
func Commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work")
	Git(t, dir, "clone", "--quiet", dir, work)
	names := []string{}
	for name, content := range files {
		path := filepath.Join(work, name)
		names = append(names, name)
		if content == "" {
			Git(t, work, "rm", "--quiet", name)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Git(t, work, "add", "-A")
	Git(t, work, "commit", "--quiet", "-m", "foreign "+strings.Join(names, " "))
	Git(t, work, "push", "--quiet", "origin", "main")
}

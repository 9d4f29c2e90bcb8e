package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Delete, as the content of a file in Commit, takes the file out.
const Delete = "\x00delete"

// Commit writes a commit to the tip of a branch, which is made when absent: each path gets its
// content, or is deleted (Delete). It returns the commit's hash; without a change it still makes a
// commit.
func (r *Repository) Commit(ctx context.Context, branch string, files map[string]string, message string) (hash string, err error) {
	lock := r.lock()
	lock.Lock()
	defer lock.Unlock()
	// A file of its own as index keeps the bare repository without a work tree.
	index, err := os.MkdirTemp("", "gitserver-index-")
	if err != nil {
		return "", fmt.Errorf("create index: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(index)) }()
	c := commit{repo: r.server.path(r.Name), env: []string{"GIT_INDEX_FILE=" + filepath.Join(index, "index")}}
	if hash, err = c.write(ctx, "refs/heads/"+branch, files, message); err != nil {
		return "", fmt.Errorf("commit to %s: %w", r.Name, err)
	}
	return hash, nil
}

func (r *Repository) lock() *sync.Mutex {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.server.locks[r.Name]
}

type commit struct {
	repo string
	env  []string
}

func (c commit) write(ctx context.Context, ref string, files map[string]string, message string) (string, error) {
	parent, err := c.git(ctx, nil, "for-each-ref", "--format=%(objectname)", ref)
	if err != nil {
		return "", err
	}
	base := "--empty"
	if parent != "" {
		base = parent
	}
	if _, err := c.git(ctx, nil, "read-tree", base); err != nil {
		return "", err
	}
	if err := c.stage(ctx, files); err != nil {
		return "", err
	}
	tree, err := c.git(ctx, nil, "write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree, "-F", "-"}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	hash, err := c.git(ctx, []byte(message+"\n"), args...)
	if err != nil {
		return "", err
	}
	// The old value makes it fail, rather than lose a push that came between.
	if _, err := c.git(ctx, nil, "update-ref", ref, hash, old(parent)); err != nil {
		return "", err
	}
	return hash, nil
}

// old is the value that update-ref checks: all zeros say that the branch must not exist.
func old(parent string) string {
	if parent == "" {
		return strings.Repeat("0", 40)
	}
	return parent
}

// stage puts the files into the index.
func (c commit) stage(ctx context.Context, files map[string]string) error {
	var info bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if files[path] == Delete {
			fmt.Fprintf(&info, "0 %s\t%s\n", strings.Repeat("0", 40), path)
			continue
		}
		blob, err := c.git(ctx, []byte(files[path]), "hash-object", "-w", "--stdin")
		if err != nil {
			return err
		}
		fmt.Fprintf(&info, "100644 %s\t%s\n", blob, path)
	}
	_, err := c.git(ctx, info.Bytes(), "update-index", "--index-info")
	return err
}

func (c commit) git(ctx context.Context, input []byte, args ...string) (string, error) {
	return git(ctx, c.repo, c.env, input, args...)
}

// Head returns the hash of a branch's newest commit, "" when there is no such branch.
func (r *Repository) Head(ctx context.Context, branch string) (string, error) {
	return git(ctx, r.server.path(r.Name), nil, nil, "for-each-ref", "--format=%(objectname)", "refs/heads/"+branch)
}

// Read returns a file of a branch's newest commit.
func (r *Repository) Read(ctx context.Context, branch, path string) (string, error) {
	return git(ctx, r.server.path(r.Name), nil, nil, "show", "refs/heads/"+branch+":"+path)
}

// git runs git on a bare repository and returns its output without the last line end; an error holds
// what it complained of.
func git(ctx context.Context, repo string, env []string, input []byte, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	// Nothing of the user's own configuration must reach in.
	command.Env = append(os.Environ(),
		"GIT_DIR="+repo, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com",
		"GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com")
	command.Env = append(command.Env, env...)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("run git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

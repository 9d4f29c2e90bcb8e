package gittest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Stranger is somebody else whose commits get to a repository's main branch, on the server itself, so that nothing delays them.
// Git makes them. They write the file "stranger", and have the subject "stranger <n>".
type Stranger struct {
	Dir string // of the repository
	n   int
}

// Work makes a commit every so often until ctx ends, and returns how many there are.
func (s *Stranger) Work(ctx context.Context, every time.Duration) (commits int, err error) {
	return s.work(ctx, every, s.Commit)
}

// WorkRemotely is Work in a clone of the repository, as people do: each commit is pushed to where it came from, and who loses the race
// rebases and tries again. It is as fast as git is, if that takes longer.
func (s *Stranger) WorkRemotely(ctx context.Context, every time.Duration) (commits int, err error) {
	return s.work(ctx, every, s.push)
}

func (s *Stranger) push(ctx context.Context) error {
	s.n++
	if err := os.WriteFile(filepath.Join(s.Dir, "stranger"), fmt.Append(nil, s.n, "\n"), 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	for _, args := range [][]string{{"add", "stranger"}, {"commit", "--quiet", "-m", fmt.Sprint("stranger ", s.n)}} {
		if _, err := Run(ctx, s.Dir, "", args...); err != nil {
			return err
		}
	}
	for {
		_, err := Run(ctx, s.Dir, "", "push", "--quiet", "origin", "main")
		if err == nil || !strings.Contains(err.Error(), "rejected") {
			return err
		}
		if _, err := Run(ctx, s.Dir, "", "pull", "--quiet", "--rebase", "origin", "main"); err != nil {
			return err
		}
	}
}

func (s *Stranger) work(ctx context.Context, every time.Duration, commit func(context.Context) error) (commits int, err error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.n, nil
		case <-tick.C:
		}
		// One that has begun is brought to its end, so that it is known whether it is there.
		if err := commit(context.WithoutCancel(ctx)); err != nil {
			return s.n, err
		}
	}
}

// Commit makes a commit, again and again on what the branch is then, until it is there.
func (s *Stranger) Commit(ctx context.Context) error {
	const ref = "refs/heads/main"
	s.n++
	text := fmt.Sprintf("commit %s\ncommitter a <a@example.com> now\ndata <<end\nstranger %d\nend\nfrom %s^0\nM 100644 inline stranger\ndata <<end\n%d\nend\n",
		ref, s.n, ref, s.n)
	for {
		_, err := Run(ctx, s.Dir, text, "fast-import", "--quiet", "--date-format=now")
		if err == nil || !strings.Contains(err.Error(), "ot updating "+ref) && !strings.Contains(err.Error(), "cannot lock ref '"+ref) {
			return err
		}
	}
}

// Run runs git in a folder, outside of a test. What it complains of is in the error.
func Run(ctx context.Context, dir, input string, args ...string) (string, error) {
	git := command(ctx, dir, dir, args...)
	git.Stdin = strings.NewReader(input)
	var complaint strings.Builder
	git.Stderr = &complaint
	out, err := git.Output()
	if err != nil {
		err = fmt.Errorf("run git %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), err
}

package gittest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Stranger is somebody else whose commits get to a repository's main branch. Git makes them, without a work tree, as tools do that keep a
// repository's files up to date. They write the file "stranger", and have the subject "stranger <n>".
type Stranger struct {
	Dir     string // a bare repository
	Commits int    // that are there
	Lost    int    // pushes in vain, since somebody else was first
}

// Commit makes a commit in the repository itself, again and again on what the branch is then, until it is there.
func (s *Stranger) Commit(ctx context.Context) error {
	const ref = "refs/heads/main"
	text := fmt.Sprintf("commit %s\ncommitter a <a@example.com> now\ndata <<end\nstranger %d\nend\nfrom %s^0\nM 100644 inline stranger\ndata <<end\n%d\nend\n",
		ref, s.Commits+1, ref, s.Commits+1)
	for {
		_, err := Run(ctx, s.Dir, text, "fast-import", "--quiet", "--date-format=now")
		if err == nil {
			s.Commits++
		}
		if err == nil || !strings.Contains(err.Error(), "ot updating "+ref) && !strings.Contains(err.Error(), "cannot lock ref '"+ref) {
			return err
		}
	}
}

// Work pushes a commit to where the repository was cloned from every so often, or as fast as git is if that takes longer, until ctx ends.
// Who loses the race commits on what is there now, and pushes again at once.
func (s *Stranger) Work(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// One that has begun is brought to its end, so that it is known whether it is there.
		if err := s.push(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
}

func (s *Stranger) push(ctx context.Context) error {
	for {
		if err := s.Commit(ctx); err != nil {
			return err
		}
		_, err := Run(ctx, s.Dir, "", "push", "--quiet", "origin", "main")
		if err == nil || !strings.Contains(err.Error(), "rejected") {
			return err
		}
		s.Commits--
		s.Lost++
		if _, err := Run(ctx, s.Dir, "", "fetch", "--quiet", "origin", "+main:main"); err != nil {
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

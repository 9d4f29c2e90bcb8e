package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// gitIn runs git in a folder and is what it prints, without the last line end.
func gitIn(ctx context.Context, dir string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], errors.Join(err, errors.New(cut(stderr.String(), 200))))
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// currentBranch is the branch that is checked out in a folder. A commit that is checked out without one is an error.
func currentBranch(ctx context.Context, dir string) (string, error) {
	return gitIn(ctx, dir, "symbolic-ref", "--short", "HEAD")
}

// readOrigin is what Git says of a commit that is in a folder's repository: as much of it as there is. Without a commit it is
// the one that is checked out, with its branch.
func readOrigin(ctx context.Context, dir, commit string) (fleetv1.ArtifactSource, error) {
	var out fleetv1.ArtifactSource
	// Not with the signature's check, and as .mailmap has the author.
	facts, err := gitIn(ctx, dir, "log", "-1", "--no-show-signature", "--format=%H%n%aN <%aE>", cmp.Or(commit, "HEAD"), "--")
	if err != nil {
		return out, err
	}
	out.Commit, out.Author, _ = strings.Cut(facts, "\n")
	// That there is none of these is no error: CI systems check out without a branch, and not all have a remote.
	if branch, err := currentBranch(ctx, dir); err == nil && commit == "" {
		out.Branch = branch
	}
	if remote, err := gitIn(ctx, dir, "remote", "get-url", "origin"); err == nil {
		out.Repository = remote
	}
	return out, nil
}

// originOf is where a folder's files come from: as it was given; else as Git says of the folder, or, where that is in no
// repository, of the current one; else as the CI system says, where it speaks of the same commit. Branch and commit must be
// known, and undisputed.
func originOf(ctx context.Context, dir string, env func(string) string, given fleetv1.ArtifactSource) (fleetv1.ArtifactSource, error) {
	git, gitErr := readOrigin(ctx, dir, given.Commit)
	if gitErr != nil {
		git, gitErr = readOrigin(ctx, ".", given.Commit)
	}
	ci := ciOrigin(env)
	commit := cmp.Or(git.Commit, given.Commit, ci.Commit)
	if !strings.EqualFold(ci.Commit, commit) {
		ci.Branch, ci.Author = "", ""
	}
	if given.Branch == "" && git.Branch != "" && ci.Branch != "" && git.Branch != ci.Branch {
		return given, &client.Error{Op: "tell the branch", Err: fmt.Errorf("it is %s by Git, and %s by the CI system", git.Branch, ci.Branch), Fix: "name it with --branch"}
	}
	out := fleetv1.ArtifactSource{
		Branch: cmp.Or(given.Branch, git.Branch, ci.Branch), Commit: commit, Author: cmp.Or(given.Author, git.Author, ci.Author),
		Repository: cmp.Or(given.Repository, ci.Repository, git.Repository), CI: cmp.Or(given.CI, ci.CI), Created: given.Created,
	}
	if out.Commit == "" {
		return out, &client.Error{Op: "tell the commit", Err: gitErr, Fix: "run it in a checkout, or name the commit with --commit"}
	}
	if out.Branch == "" {
		return out, &client.Error{Op: "tell the branch", Err: fmt.Errorf("commit %s is checked out without a branch, and no CI system says that it was pushed to one", out.Commit),
			Fix: "name it with --branch"}
	}
	return out, nil
}

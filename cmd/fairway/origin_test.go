package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// inEnv is an environment of the variables alone.
func inEnv(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestWhatCISystemsSay(t *testing.T) {
	const sha = "4f1c9d2aab7e0b5b6c1d2e3f405162738495a6b7"
	github := func(kind, ref string) map[string]string {
		return map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SHA": sha, "GITHUB_REF_TYPE": kind, "GITHUB_REF_NAME": ref, "GITHUB_HEAD_REF": "main",
			"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "payments/ledger", "GITHUB_RUN_ID": "17"}
	}
	onGithub := fleetv1.ArtifactSource{Commit: sha, Repository: "https://github.com/payments/ledger", CI: "https://github.com/payments/ledger/actions/runs/17"}
	on := func(branch string) fleetv1.ArtifactSource { out := onGithub; out.Branch = branch; return out }
	azure := func(ref string) map[string]string {
		return map[string]string{"TF_BUILD": "True", "BUILD_SOURCEVERSION": sha, "BUILD_SOURCEBRANCH": ref, "BUILD_SOURCEBRANCHNAME": "main",
			"BUILD_REPOSITORY_URI": "https://dev.azure.com/o/p/_git/ledger", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/o/", "SYSTEM_TEAMPROJECTID": "p1", "BUILD_BUILDID": "17"}
	}
	onAzure := func(branch string) fleetv1.ArtifactSource {
		return fleetv1.ArtifactSource{Branch: branch, Commit: sha, Repository: "https://dev.azure.com/o/p/_git/ledger", CI: "https://dev.azure.com/o/p1/_build/results?buildId=17"}
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want fleetv1.ArtifactSource
	}{
		"no CI system":   {map[string]string{"GIT_BRANCH": "main"}, fleetv1.ArtifactSource{}},
		"GitHub, a push": {github("branch", "feature/main"), on("feature/main")},
		"GitHub, a pull request from a fork's main": {github("branch", "12/merge"), on("12/merge")},
		"GitHub, a tag called main":                 {github("tag", "main"), on("")},
		"GitLab, a push": {map[string]string{"GITLAB_CI": "true", "CI_COMMIT_SHA": sha, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_AUTHOR": "Ada <ada@example.com>",
			"CI_PROJECT_URL": "https://gitlab.com/payments/ledger", "CI_JOB_URL": "https://gitlab.com/payments/ledger/-/jobs/17", "CI_PIPELINE_URL": "https://x"},
			fleetv1.ArtifactSource{Branch: "main", Commit: sha, Author: "Ada <ada@example.com>", Repository: "https://gitlab.com/payments/ledger", CI: "https://gitlab.com/payments/ledger/-/jobs/17"}},
		"GitLab, a merge request from a fork's main": {map[string]string{"GITLAB_CI": "true", "CI_COMMIT_SHA": sha, "CI_COMMIT_REF_NAME": "main", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main"},
			fleetv1.ArtifactSource{Commit: sha}},
		"Azure, a push to a branch whose last part is main": {azure("refs/heads/feature/main"), onAzure("feature/main")},
		"Azure, a pull request":                             {azure("refs/pull/12/merge"), onAzure("pull/12/merge")},
		"Azure, a tag":                                      {azure("refs/tags/main"), onAzure("")},
		"Jenkins, one branch": {map[string]string{"JENKINS_URL": "https://ci", "GIT_COMMIT": sha, "GIT_BRANCH": "origin/main", "GIT_URL": "https://git.example.com/ledger", "BUILD_URL": "https://ci/17"},
			fleetv1.ArtifactSource{Branch: "main", Commit: sha, Repository: "https://git.example.com/ledger", CI: "https://ci/17"}},
		"Jenkins, many branches":            {map[string]string{"JENKINS_URL": "https://ci", "GIT_COMMIT": sha, "BRANCH_NAME": "feature/x", "GIT_BRANCH": "y"}, fleetv1.ArtifactSource{Branch: "feature/x", Commit: sha}},
		"Jenkins, a pull request":           {map[string]string{"JENKINS_URL": "https://ci", "GIT_COMMIT": sha, "BRANCH_NAME": "PR-12", "CHANGE_BRANCH": "main"}, fleetv1.ArtifactSource{Branch: "PR-12", Commit: sha}},
		"Jenkins, a tag called main":        {map[string]string{"JENKINS_URL": "https://ci", "GIT_COMMIT": sha, "BRANCH_NAME": "main", "TAG_NAME": "main"}, fleetv1.ArtifactSource{Commit: sha}},
		"Jenkins, no branch is checked out": {map[string]string{"JENKINS_URL": "https://ci", "GIT_COMMIT": sha, "GIT_BRANCH": "detached"}, fleetv1.ArtifactSource{Commit: sha}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, ciOrigin(inEnv(c.env))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// sourceCode is a checkout of a service with one commit on a branch, and the commit.
func sourceCode(t *testing.T, branch string) (dir, commit string) {
	t.Helper()
	dir = checkout(t, map[string]string{"manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ledger}\n"})
	gittest.Git(t, dir, "init", "--quiet", "--initial-branch", branch)
	gittest.Git(t, dir, "add", "-A")
	gittest.Git(t, dir, "commit", "--quiet", "-m", "first")
	gittest.Git(t, dir, "remote", "add", "origin", "https://git.example.com/payments/ledger.git")
	return dir, gittest.Git(t, dir, "rev-parse", "HEAD")
}

func TestWhereFilesComeFrom(t *testing.T) {
	t.Chdir(t.TempDir()) // no repository
	dir, commit := sourceCode(t, "feature/fast")
	detached, detachedCommit := sourceCode(t, "main")
	gittest.Git(t, detached, "checkout", "--quiet", "--detach")
	bare := t.TempDir()
	ci := func(branch, commit string) map[string]string {
		return map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SHA": commit, "GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": branch}
	}
	const remote, author, sha = "https://git.example.com/payments/ledger.git", "a <a@example.com>", "4f1c9d2aab7e0b5b6c1d2e3f405162738495a6b7"
	for name, c := range map[string]struct {
		dir   string
		env   map[string]string
		given fleetv1.ArtifactSource
		want  fleetv1.ArtifactSource
		says  string // of an error
	}{
		"as Git says": {dir: dir, want: fleetv1.ArtifactSource{Branch: "feature/fast", Commit: commit, Author: author, Repository: remote}},
		"of a folder below the checkout": {dir: filepath.Join(dir, "manifests"),
			want: fleetv1.ArtifactSource{Branch: "feature/fast", Commit: commit, Author: author, Repository: remote}},
		"flags come first": {dir: dir, env: ci("main", commit), given: fleetv1.ArtifactSource{Branch: "b", Author: "d", Repository: "e", CI: "f"},
			want: fleetv1.ArtifactSource{Branch: "b", Commit: commit, Author: "d", Repository: "e", CI: "f"}},
		"a short commit is completed": {dir: dir, given: fleetv1.ArtifactSource{Branch: "b", Commit: commit[:8]},
			want: fleetv1.ArtifactSource{Branch: "b", Commit: commit, Author: author, Repository: remote}},
		"a commit that is given has no branch by itself": {dir: dir, given: fleetv1.ArtifactSource{Commit: commit}, says: "is checked out without a branch"},
		"a detached head is of the branch that CI says": {dir: detached, env: ci("main", detachedCommit),
			want: fleetv1.ArtifactSource{Branch: "main", Commit: detachedCommit, Author: author, Repository: remote}},
		"not when CI speaks of another commit":                     {dir: detached, env: ci("main", sha), says: "is checked out without a branch"},
		"a detached head of no branch":                             {dir: detached, says: "is checked out without a branch"},
		"Git and CI contradict each other":                         {dir: dir, env: ci("12/merge", commit), says: "it is feature/fast by Git, and 12/merge by the CI system"},
		"without a repository, as CI says":                         {dir: bare, env: ci("main", sha), want: fleetv1.ArtifactSource{Branch: "main", Commit: sha}},
		"without a repository, as is given":                        {dir: bare, given: fleetv1.ArtifactSource{Branch: "main", Commit: sha}, want: fleetv1.ArtifactSource{Branch: "main", Commit: sha}},
		"without a repository, a commit that CI does not speak of": {dir: bare, env: ci("main", sha), given: fleetv1.ArtifactSource{Commit: strings.Repeat("a", 40)}, says: "without a branch"},
		"without anything":                                         {dir: bare, says: "not a git repository"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := originOf(t.Context(), c.dir, inEnv(c.env), c.given)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || client.Fix(err) == "" {
					t.Errorf("%+v, %v; want an error that says %q", got, err, c.says)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	t.Run("of a folder without a repository, as the current one says", func(t *testing.T) {
		if err := os.Chdir(dir); err != nil {
			t.Fatal(err)
		}
		got, err := originOf(t.Context(), bare, inEnv(nil), fleetv1.ArtifactSource{})
		if err != nil || got.Commit != commit {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

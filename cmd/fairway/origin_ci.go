package main

import (
	"cmp"
	"strings"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// ciSystems are the CI systems that are known, by a variable that they alone set.
var ciSystems = []struct {
	present string
	read    func(env func(string) string) fleetv1.ArtifactSource
}{
	{"GITHUB_ACTIONS", githubOrigin},
	{"GITLAB_CI", gitlabOrigin},
	{"TF_BUILD", azureOrigin},
	{"JENKINS_URL", jenkinsOrigin},
}

// ciOrigin is what the CI system says of its run; nothing where there is none that is known. The branch is one that was pushed
// to. A pull request has a name of its own, never that of the branch that it comes from, which anybody can call main; a
// tag is no branch.
func ciOrigin(env func(string) string) fleetv1.ArtifactSource {
	for _, system := range ciSystems {
		if env(system.present) != "" {
			return system.read(env)
		}
	}
	return fleetv1.ArtifactSource{}
}

// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func githubOrigin(env func(string) string) fleetv1.ArtifactSource {
	out := fleetv1.ArtifactSource{Commit: env("GITHUB_SHA")}
	if env("GITHUB_REF_TYPE") == "branch" {
		out.Branch = env("GITHUB_REF_NAME") // of a pull request, "12/merge"
	}
	if server, repository := env("GITHUB_SERVER_URL"), env("GITHUB_REPOSITORY"); server != "" && repository != "" {
		out.Repository = server + "/" + repository
		if run := env("GITHUB_RUN_ID"); run != "" {
			out.CI = out.Repository + "/actions/runs/" + run
		}
	}
	return out
}

// https://docs.gitlab.com/ci/variables/predefined_variables: only pipelines of branches have CI_COMMIT_BRANCH.
func gitlabOrigin(env func(string) string) fleetv1.ArtifactSource {
	return fleetv1.ArtifactSource{
		Branch: env("CI_COMMIT_BRANCH"), Commit: env("CI_COMMIT_SHA"), Author: env("CI_COMMIT_AUTHOR"),
		Repository: env("CI_PROJECT_URL"), CI: cmp.Or(env("CI_JOB_URL"), env("CI_PIPELINE_URL")),
	}
}

// https://learn.microsoft.com/azure/devops/pipelines/build/variables. BUILD_SOURCEBRANCHNAME is not used: of feature/main it is
// "main".
func azureOrigin(env func(string) string) fleetv1.ArtifactSource {
	out := fleetv1.ArtifactSource{Commit: env("BUILD_SOURCEVERSION"), Repository: env("BUILD_REPOSITORY_URI")}
	ref := env("BUILD_SOURCEBRANCH")
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		out.Branch = branch
	} else if strings.HasPrefix(ref, "refs/pull/") {
		out.Branch = strings.TrimPrefix(ref, "refs/")
	}
	if collection, project, run := env("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"), env("SYSTEM_TEAMPROJECTID"), env("BUILD_BUILDID"); collection != "" && project != "" && run != "" {
		out.CI = strings.TrimSuffix(collection, "/") + "/" + project + "/_build/results?buildId=" + run
	}
	return out
}

// https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables, and the Git plug-in's. BRANCH_NAME is
// that of multibranch jobs: "PR-12" of a pull request, and a tag's name of a tag.
func jenkinsOrigin(env func(string) string) fleetv1.ArtifactSource {
	out := fleetv1.ArtifactSource{Commit: env("GIT_COMMIT"), Repository: env("GIT_URL"), CI: env("BUILD_URL")}
	if branch := cmp.Or(env("BRANCH_NAME"), env("GIT_BRANCH")); env("TAG_NAME") == "" && branch != "detached" {
		out.Branch = strings.TrimPrefix(branch, "origin/")
	}
	return out
}

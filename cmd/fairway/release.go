package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
)

// artifactReader is what the registry says of a service's artifacts: *artifact.Store.
type artifactReader interface {
	List(ctx context.Context, team, service string, n int) ([]artifact.Artifact, error)
	Resolve(ctx context.Context, team, service, id string) (artifact.Artifact, error)
	Pull(ctx context.Context, team, service string, a artifact.Artifact) (artifact.Files, error)
}

func newReleaseVerb(sh *shell, conn *connection) *cobra.Command {
	v := &releaseVerb{asking: asking{sh: sh, conn: conn, verb: "release"}}
	cmd := &cobra.Command{
		Use:   "release [TEAM/SERVICE] {--branch BRANCH | --current-branch | --artifact ID} --env ENVIRONMENT",
		Short: "Release an artifact of a service to an environment, whatever clouds it runs on",
		Long: `Release an artifact of a service to an environment, whatever clouds it runs on.

It makes a Release on the platform cluster with your kubeconfig, in the team's namespace; the operator checks it against the
environment's rules and clusters, and writes it to the config repository. Which artifact a branch has is asked of the registry, which you
must be allowed to read; --artifact needs no registry.

With --wait the exit code is 0 only when every cluster of every environment is healthy on the artifact. Otherwise the clusters that
failed are named, with the reason and the last lines of the container. An interrupt ends the waiting and not the release.`,
		Example: sh.examples("release payments/ledger --branch main --env staging --wait", "release --current-branch --env dev",
			"release payments/ledger --artifact main-4f1c9d2-a81b --env dev,staging -m 'the new rates'"),
		Args: atMostOne(sh, "release"),
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVarP(&v.branch, "branch", "b", "", "The newest artifact of this branch")
	f.BoolVarP(&v.current, "current-branch", "c", false, "The newest artifact of the branch that is checked out in this folder")
	f.StringVar(&v.artifact, "artifact", "", "This artifact")
	f.StringSliceVarP(&v.environments, "env", "e", nil, "Environment; may be given several times")
	v.addFlags(cmd)
	return cmd
}

type releaseVerb struct {
	asking
	branch, artifact string
	current          bool
	environments     []string
}

func (v *releaseVerb) run(cmd *cobra.Command, args []string) error {
	ways := 0
	for _, given := range []bool{v.branch != "", v.current, v.artifact != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return v.sh.usage(v.verb, "say which artifact: --branch, --current-branch or --artifact, one of them")
	case len(v.environments) == 0:
		return v.sh.usage(v.verb, "say where to: --env staging")
	}
	service, err := v.conn.findID(v.sh, v.verb, v.service, args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	if err := v.knowEnvironments(ctx, platform, cmd.ErrOrStderr(), v.environments...); err != nil {
		return err
	}
	id, err := v.chosen(ctx, platform, cmd.ErrOrStderr(), service)
	if err != nil {
		return err
	}
	var wanted []fleetv1.Release
	for _, environment := range v.environments {
		wanted = append(wanted, newRelease(service, id, environment, fleetv1.IntentRelease))
	}
	return v.place(ctx, cmd, platform, wanted)
}

// chosen is the id of the artifact that the flags mean.
func (v *releaseVerb) chosen(ctx context.Context, platform releases, stderr io.Writer, service serviceID) (string, error) {
	if v.artifact != "" {
		return v.artifact, v.conn.knowArtifact(ctx, v.sh, platform, stderr, service, v.artifact)
	}
	branch := v.branch
	if v.current {
		var err error
		if branch, err = v.conn.currentBranch(ctx); err != nil {
			return "", err
		}
	}
	registry, err := v.conn.artifacts(ctx, platform)
	if err != nil {
		return "", err
	}
	newest, err := newestOf(ctx, v.sh, platform, registry, service, branch)
	if err == nil {
		done(stderr, "%s is the newest artifact of %s", sentence(", ", newest.ID, origin(newest.Metadata)), branch)
	}
	return newest.ID, err
}

// currentBranch is what artifact push would say now.
func (c *connection) currentBranch(ctx context.Context) (string, error) {
	found, err := originOf(ctx, ".", c.env, fleetv1.ArtifactSource{})
	return found.Branch, err
}

// origin says where an artifact comes from.
func origin(s fleetv1.ArtifactSource) string {
	commit, author := "", ""
	if s.Commit != "" {
		commit = "commit " + shortCommit(s.Commit)
	}
	if s.Author != "" {
		author = "by " + s.Author
	}
	return sentence(" ", commit, author)
}

// shortCommit is the seven digits that people know a commit by.
func shortCommit(commit string) string { return commit[:min(len(commit), 7)] }

// newestOf is the newest artifact of a branch.
func newestOf(ctx context.Context, sh *shell, platform releases, registry artifactReader, service serviceID, branch string) (artifact.Artifact, error) {
	found, err := registry.List(ctx, service.team, service.name, 0)
	if errors.Is(err, artifact.ErrNotFound) || err == nil && len(found) == 0 {
		return artifact.Artifact{}, missingService(ctx, sh, platform, service)
	}
	if err != nil {
		return artifact.Artifact{}, refusedArtifact("find the newest artifact of "+branch, err)
	}
	var branches []string
	for _, a := range found {
		if a.Branch == branch {
			return a, nil
		}
		branches = append(branches, a.Branch)
	}
	return artifact.Artifact{}, sh.missing("artifact of branch", branch, "artifact list "+service.String(), unique(branches))
}

// knowArtifact refuses an id that the registry does not have. Where the registry cannot be asked, the
// operator says so later.
func (c *connection) knowArtifact(ctx context.Context, sh *shell, platform releases, stderr io.Writer, service serviceID, id string) error {
	registry, err := c.artifacts(ctx, platform)
	if err == nil {
		_, err = registry.Resolve(ctx, service.team, service.name, id)
	}
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return missingArtifact(ctx, sh, platform, registry, service, id)
	case errors.Is(err, artifact.ErrInvalid), errors.Is(err, artifact.ErrTooLarge):
		return refusedArtifact("use artifact "+id, err)
	case err != nil:
		caution(stderr, "the operator looks whether there is an artifact %s; from here that cannot be told: %s", id, clean(err.Error()))
	}
	return nil
}

// missingArtifact is the error for an id that the registry does not have, with those that look like it.
func missingArtifact(ctx context.Context, sh *shell, platform releases, registry artifactReader, service serviceID, id string) error {
	found, err := registry.List(ctx, service.team, service.name, 0)
	switch {
	case errors.Is(err, artifact.ErrNotFound) || err == nil && len(found) == 0:
		return missingService(ctx, sh, platform, service)
	case err != nil:
		return refusedArtifact(fmt.Sprintf("there is no artifact %q; look for others", id), err)
	}
	var have []string
	for _, a := range found {
		have = append(have, a.ID)
	}
	return sh.missing("artifact", id, "artifact list "+service.String(), have)
}

// missingService is the error for a service of which nothing was pushed.
func missingService(ctx context.Context, sh *shell, platform releases, service serviceID) error {
	return sh.missingFrom("service", service.String(), sh.name+" get services; its first artifact: "+sh.name+" artifact push", platform.services(ctx, service.team))
}

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// releaseVerbs are the commands about releases, by the first word of their paths.
var releaseVerbs = []string{"release", "promote", "rollback", "approve", "status", "history", "audit", "policy", "check artifact"}

// releaseCompletions makes the commands about releases offer what the platform and the registry know. What
// cannot be asked offers nothing.
func releaseCompletions(sh *shell, root *cobra.Command, conn *connection) {
	services := conn.offers(func(ctx context.Context, r releases, _ *cobra.Command, _ []string) []string {
		return r.services(ctx, conn.team())
	})
	environments := conn.offers(environmentNames)
	flags := map[string]cobra.CompletionFunc{
		"service": services, "env": environments, "from": environments, "to": environments, "artifact": conn.offers(conn.artifactNames(sh)),
	}
	each(root, func(cmd *cobra.Command) {
		_, path, _ := strings.Cut(cmd.CommandPath(), root.DisplayName()+" ")
		if !slices.ContainsFunc(releaseVerbs, func(verb string) bool { return path == verb || strings.HasPrefix(path, verb+" ") }) {
			return
		}
		switch {
		case path == "approve":
			cmd.ValidArgsFunction = conn.offers(waitingReleases)
		case path != "check artifact" && !cmd.HasSubCommands():
			cmd.ValidArgsFunction = services
		}
		for name, f := range flags {
			if cmd.LocalNonPersistentFlags().Lookup(name) != nil && (path != "check artifact" || name != "from") {
				cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, f))
			}
		}
	})
}

// offers makes a completion out of names that the platform is asked for.
func (c *connection) offers(load func(context.Context, releases, *cobra.Command, []string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		platform, err := c.openReleases()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
		}
		return offer(load(ctx, platform, cmd, args), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

func environmentNames(ctx context.Context, r releases, _ *cobra.Command, _ []string) (names []string) {
	all, err := r.environments(ctx)
	if err != nil {
		return nil
	}
	for _, e := range all {
		names = append(names, e.Name)
	}
	return names
}

// waitingReleases are the Releases that wait for approvals, as far as the caller may list them.
func waitingReleases(ctx context.Context, r releases, _ *cobra.Command, _ []string) (names []string) {
	var list fleetv1.ReleaseList
	if r.List(ctx, &list) != nil {
		return nil
	}
	for i := range list.Items {
		if _, reason, _ := obstacle(&list.Items[i]); reason == fleetv1.ReasonApprovalMissing {
			names = append(names, releaseName(&list.Items[i]))
		}
	}
	return names
}

// artifactNames are the artifacts of the service that the command line names so far.
func (c *connection) artifactNames(sh *shell) func(context.Context, releases, *cobra.Command, []string) []string {
	return func(ctx context.Context, r releases, cmd *cobra.Command, args []string) (names []string) {
		flag := ""
		if f := cmd.Flags().Lookup("service"); f != nil {
			flag = f.Value.String()
		}
		if cmd.Name() == "artifact" { // its argument is a folder
			args = nil
		}
		service, err := c.findID(sh, cmd.Name(), flag, args)
		if err != nil {
			return nil
		}
		registry, err := c.artifacts(ctx, r)
		if err != nil {
			return nil
		}
		found, err := registry.List(ctx, service.team, service.name, 0)
		if err != nil {
			return nil
		}
		for _, a := range found {
			names = append(names, a.ID)
		}
		return names
	}
}

package main

import (
	"context"
	"fmt"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type clusterReader interface {
	Cluster(ctx context.Context, id string) (rest.ClusterDetail, error)
	Clusters(ctx context.Context, f client.Filter) (rest.ClusterList, error)
}

func newDescribeCluster(sh *shell, conn *connection, connect func(context.Context) (clusterReader, error), surveys func() (surveyReader, error)) *cobra.Command {
	var (
		out         output
		all, survey bool
	)
	cmd := &cobra.Command{
		Use:     "cluster ID",
		Aliases: []string{"clusters"},
		Short:   "Show a cluster as a tree: what is wrong is open, what is fine is counted",
		Long: `Show a cluster as a tree: what is wrong is open, what is fine is counted.

With --survey it shows what the operator found on a cluster that came from elsewhere: whose objects it runs, what nothing
keeps, what would clash if Fairway managed it, and which rights are missing; as Markdown, unless -o says otherwise. It is read
from the platform cluster with your own rights, not from the hub: ` + "`list` on workloadclusters and `get` on the ConfigMap" + `
NAME-survey beside it.`,
		Example: sh.examples("describe cluster prod-aws-eu1", "describe cluster prod-aws-eu1 --all",
			"describe cluster acquired-1 --survey > acquired-1.md", "describe cluster acquired-1 --survey -o json"),
		Args: exactlyOne(sh, "describe cluster", "cluster's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := conn.bound(cmd.Context())
			defer cancel()
			switch {
			case survey:
				return describeSurvey(ctx, sh, cmd, surveys, surveyQuery{conn.team(), args[0], out.format})
			case out.format == formatMarkdown:
				return sh.usage("describe cluster", "-o markdown is for --survey")
			}
			h, err := connect(ctx)
			if err != nil {
				return err
			}
			detail, err := findCluster(ctx, sh, h, args[0])
			if err != nil {
				return err
			}
			switch out.format {
			case formatJSON:
				return writeJSON(cmd.OutOrStdout(), detail, "  ")
			case formatYAML:
				return writeYAML(cmd.OutOrStdout(), detail)
			}
			return clusterTree(detail, sh.now(), all).write(cmd.OutOrStdout(), sh)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "Open everything")
	cmd.Flags().BoolVar(&survey, "survey", false, "Show the survey of a cluster that came from elsewhere")
	out.addFlags(cmd, formatTree, formatJSON, formatYAML, formatMarkdown)
	return cmd
}

// findCluster reads a cluster; when there is none of that id, the error names those that look
// like it.
func findCluster(ctx context.Context, sh *shell, h clusterReader, id string) (rest.ClusterDetail, error) {
	detail, err := h.Cluster(ctx, id)
	if !client.IsNotFound(err) {
		return detail, err
	}
	found, err := h.Clusters(ctx, client.Filter{})
	if err != nil {
		return detail, fmt.Errorf("there is no cluster %q; look for others: %w", id, err)
	}
	var have []string
	for _, c := range found.Items {
		have = append(have, c.ID)
	}
	return detail, sh.missing("cluster", id, "get clusters", have)
}

package main

import (
	"strings"

	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

func newDescribe(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe",
		Short: "Show one cluster as a tree that opens only what is wrong, or one episode",
		RunE: func(_ *cobra.Command, args []string) error {
			what := strings.Join(args, " ")
			if close := near(what, []string{"cluster", "episode"}); len(close) > 0 {
				return sh.usage("describe", "there is no %q; did you mean %s?", what, close[0])
			}
			return sh.usage("describe", "say what: cluster ID or episode ID")
		},
	}
	cmd.AddCommand(
		newDescribeCluster(sh, conn, hub(conn, func(c *client.Client) clusterReader { return c }), conn.surveys),
		newDescribeEpisode(sh, conn, hub(conn, func(c *client.Client) episodeReader { return c })),
	)
	return cmd
}

// exactlyOne wants one argument, and says which.
func exactlyOne(sh *shell, command, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return sh.usage(command, "it takes one argument, the %s", what)
		}
		return nil
	}
}

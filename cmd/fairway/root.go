package main

import (
	"strings"

	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/install"
	"github.com/spf13/cobra"
)

func newRoot(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:         "fairway",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: sh.name},
		Short:       "Release to every cluster of the fleet, and see what runs there and how fresh that knowledge is",
		Long: `Release to every cluster of the fleet, and see what runs there and how fresh that knowledge is.

Fairway needs nothing but the kubeconfig of the platform cluster: it opens a port-forward to the hub by itself and
shows it the same credentials. Where the hub has an address of its own, name it with --server or FAIRWAY_SERVER.

The exit code is 0 only when what was asked for is true. Results go to stdout, everything else to stderr.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return sh.usage(strings.TrimPrefix(cmd.CommandPath(), sh.name+" "), "%w", err)
	})
	cmd.AddCommand(
		newGet(sh, conn),
		newDescribe(sh, conn),
		newEvents(sh, conn, hub(conn, func(c *client.Client) eventReader { return c })),
		newSince(sh, conn, hub(conn, func(c *client.Client) changeReader { return c })),
		newTimeline(sh, conn, hub(conn, func(c *client.Client) timelineReader { return c })),
		newGetEpisodes(sh, conn, hub(conn, func(c *client.Client) episodeLister { return c })),
		newCreate(sh, conn),
		newAdopt(sh, conn),
		newCheck(sh, conn),
		newArtifact(sh, conn),
		newInstall(sh, install.Manifests),
		newVersion(sh, conn, hub(conn, func(c *client.Client) versioned { return c })),
	)
	cmd.AddCommand(releasing(sh, conn)...)
	cmd.InitDefaultCompletionCmd("get")
	completions(cmd, conn)
	releaseCompletions(sh, cmd, conn)
	return cmd
}

// releasing are the commands about releases.
func releasing(sh *shell, conn *connection) []*cobra.Command {
	return []*cobra.Command{
		newReleaseVerb(sh, conn),
		newPromote(sh, conn),
		newRollback(sh, conn),
		newApprove(sh, conn),
		newStatus(sh, conn, hub(conn, func(c *client.Client) serviceLister { return c })),
		newHistory(sh, conn),
		newAudit(sh, conn, hub(conn, func(c *client.Client) auditor { return c })),
		newPolicy(sh, conn),
	}
}

package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newCreate(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Order a cluster from a cloud",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return sh.usage("create", "there is no %q; did you mean cluster?", strings.Join(args, " "))
			}
			return sh.usage("create", "say what: cluster")
		},
	}
	cmd.AddCommand(newCreateCluster(sh, conn, conn.orders))
	return cmd
}

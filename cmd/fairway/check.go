package main

import "github.com/spf13/cobra"

func newCheck(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find what would break on clusters before it gets there",
		RunE:  sayWhat(sh, "check", "artifact", "layers"),
	}
	cmd.AddCommand(newCheckArtifact(sh, conn), newCheckLayers(sh, conn))
	return cmd
}

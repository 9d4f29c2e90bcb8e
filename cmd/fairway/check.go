package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newCheck(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find what would break on clusters before it gets there",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return sh.usage("check", "there is no %q; did you mean layers?", strings.Join(args, " "))
			}
			return sh.usage("check", "say what: layers")
		},
	}
	cmd.AddCommand(newCheckLayers(sh, conn))
	return cmd
}

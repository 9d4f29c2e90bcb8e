// Command demo brings up a whole Fairway fleet on this machine and ends it again: `make demo`.
//
//	demo up [--detach]   builds what is missing, starts the fleet, prints what to try; Ctrl-C ends it
//	demo down            ends a fleet that runs in the background, or that a crash left
//	demo assets          builds Kubernetes and prints the folder for KUBEBUILDER_ASSETS
//	demo tools           builds everything that the bench runs
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "demo", Short: "A whole Fairway fleet on this machine", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(newUp(), newDown(), newAssets(), newTools())
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "✗ interrupted; everything was ended")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "✗", err)
		os.Exit(1)
	}
}

func newAssets() *cobra.Command {
	return &cobra.Command{Use: "assets", Short: "Print the folder for KUBEBUILDER_ASSETS", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			built, err := tools.Build(cmd.Context(), tools.Options{Progress: cmd.ErrOrStderr()}, tools.Kube)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), built.Assets())
			return err
		}}
}

func newTools() *cobra.Command {
	return &cobra.Command{Use: "tools", Short: "Build everything that the bench runs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := tools.Build(cmd.Context(), tools.Options{Progress: cmd.ErrOrStderr()})
			return err
		}}
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

type versioned interface {
	Version(ctx context.Context) (string, error)
}

func newVersion(sh *shell, conn *connection, connect func(context.Context) (versioned, error)) *cobra.Command {
	var (
		out    output
		client bool
	)
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of this program and, when it can be reached, of the hub",
		Args:    cobra.NoArgs,
		Example: sh.examples("version", "version --client"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := versions{Client: sh.version}
			if !client {
				hub, err := hubVersion(cmd.Context(), conn, connect)
				if err != nil {
					message, _ := explain(err)
					caution(cmd.ErrOrStderr(), "the hub cannot be reached: %s", message)
				}
				found.Hub = hub
			}
			switch out.format {
			case formatJSON:
				return writeJSON(cmd.OutOrStdout(), found, "  ")
			case formatYAML:
				return writeYAML(cmd.OutOrStdout(), found)
			}
			return found.write(cmd)
		},
	}
	cmd.Flags().BoolVar(&client, "client", false, "Only this program's; asks nobody")
	out.addFlags(cmd, formatText, formatJSON, formatYAML)
	return cmd
}

type versions struct {
	Client string `json:"client"`
	Hub    string `json:"hub,omitempty"`
}

func (v versions) write(cmd *cobra.Command) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "client: %s\n", v.Client)
	if err == nil && v.Hub != "" {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "hub: %s\n", clean(v.Hub))
	}
	return err
}

func hubVersion(ctx context.Context, conn *connection, connect func(context.Context) (versioned, error)) (string, error) {
	ctx, cancel := conn.bound(ctx)
	defer cancel()
	h, err := connect(ctx)
	if err != nil {
		return "", err
	}
	return h.Version(ctx)
}

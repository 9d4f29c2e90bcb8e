package main

import (
	"errors"
	"fmt"

	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/install"
	"github.com/spf13/cobra"
)

func newInstall(sh *shell, manifests func(install.Options) ([]byte, error)) *cobra.Command {
	var (
		o      install.Options
		export bool
	)
	apply := sh.name + " install --export | kubectl apply --server-side -f -"
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Print Fairway's own manifests, for the platform cluster",
		Long: `Print Fairway's own manifests, for the platform cluster. Fairway writes to no cluster by itself; apply them with

    ` + apply,
		Example: sh.examples("install --export | kubectl apply --server-side -f -",
			"install --export --registry registry.example.com/fairway --events-url tls://events.example.com:4222"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !export {
				return &client.Error{Op: "install", Err: errors.New("the manifests are printed with --export, and applied by you"), Fix: apply}
			}
			out, err := manifests(o)
			if err != nil {
				return fmt.Errorf("render manifests: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&export, "export", false, "Print the manifests to stdout")
	f.StringVar(&o.Version, "version", sh.version, "Version of the images")
	f.StringVar(&o.Registry, "registry", install.DefaultRegistry, "Registry of the images")
	f.StringVar(&o.EventsURL, "events-url", "", "What agents dial, tls://host:port; without it the load balancer of Service fairway-events")
	f.StringVar(&o.Storage, "storage", "10Gi", "Size of the hub's volume, which keeps the events; empty: they are lost with its pod")
	return cmd
}

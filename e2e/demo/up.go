package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/fairway-dev/fairway/e2e/fleet"
)

func newUp() *cobra.Command {
	var background bool
	cmd := &cobra.Command{Use: "up", Short: "Bring up a fleet", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := openState()
			if err != nil {
				return err
			}
			if state.running() {
				return fmt.Errorf("a demo runs already (process %d); end it with make demo-down", state.PID)
			}
			if background {
				return detach(cmd.Context(), state, cmd.OutOrStdout())
			}
			return serve(cmd.Context(), state, cmd.OutOrStdout())
		}}
	cmd.Flags().BoolVar(&background, "detach", false, "return when the fleet is Ready, and leave it running")
	return cmd
}

// serve runs a fleet until ctx ends or a process of it dies.
func serve(ctx context.Context, state *state, out io.Writer) (err error) {
	if err := state.claim(); err != nil {
		return err
	}
	defer state.release()
	f, err := fleet.Up(ctx, fleet.Options{Name: "demo", Progress: out})
	if err != nil {
		return err
	}
	if err = present(ctx, f, out); err == nil {
		select {
		case <-ctx.Done():
			fmt.Fprintln(out, "► ending the fleet")
		case err = <-f.Failed():
			err = fmt.Errorf("a process of the fleet died: %w\nlogs of every process and container are in %s", err, f.Dir)
		}
	}
	if downErr := f.Down(); err == nil {
		err = downErr
	}
	if err == nil {
		fmt.Fprintln(out, "✔ everything was ended; its logs are in", f.Dir)
	}
	return err
}

// present prints the clusters, the addresses, and what to try.
func present(ctx context.Context, f *fleet.Fleet, out io.Writer) error {
	table, err := f.Fairway(ctx, "get", "clusters")
	if err != nil {
		return err
	}
	// Commands that people type in another shell find the right clusters and binaries by this.
	env := f.Dir + "/env"
	content := fmt.Sprintf("export KUBECONFIG=%s\nexport PATH=%s:$PATH\n", f.Platform.Kubeconfig, f.Bin())
	if err := os.WriteFile(env, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write environment: %w", err)
	}
	return welcome.Execute(out, map[string]string{
		"Table": table, "Env": env, "Dir": f.Dir, "Hub": f.HubURL, "Events": f.EventsURL, "Git": f.ConfigURL(),
		"Cluster": fleet.AWS,
	})
}

// readyMark ends the output of a fleet that is up; detach waits for it.
const readyMark = "Ctrl-C or make demo-down ends everything."

var welcome = template.Must(template.New("welcome").Parse(`
{{.Table}}
  hub      {{.Hub}}    (bearer tokens and certificates of the platform cluster)
  events   {{.Events}}
  config   {{.Git}}
  logs     {{.Dir}}/logs

In another shell, after  . {{.Env}}

  fairway describe cluster {{.Cluster}}
  fairway get services
  fairway events --since 1h -w
  kubectl get workloadclusters -A
  kubectl -n fairway-system logs deploy/fairway-operator

` + readyMark + "\n"))

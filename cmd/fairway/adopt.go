package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/fleet/client"
)

func newAdopt(sh *shell, conn *connection) *cobra.Command {
	v := &adoptVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "adopt NAME --kubeconfig FILE --environment ENVIRONMENT",
		Short: "Take a cluster that came from elsewhere into the fleet, to observe it first",
		Long: `Take a cluster that came from elsewhere into the fleet, to observe it first.

--kubeconfig and --context are those of that cluster, of an administrator. They are used once and stored nowhere: on the cluster the
command makes a service account with the rights that are printed first, and gives the platform a kubeconfig of it whose token ends;
the operator renews it. The platform is the one of KUBECONFIG, or of --platform-kubeconfig and --platform-context.

In mode Observe nothing is installed but the agent, and a survey says what the cluster runs and what would clash. The same command
once more, with --mode Manage, goes on from there; --mode Observe goes back. Without --mode and --flux it leaves a cluster that is
adopted already as it is, and mends an access whose token has ended. A Flux that the cluster came with is left as it is, until --flux
says what becomes of it.
The WorkloadCluster is in the namespace ` + clustersNamespace + `, unless --namespace names another.`,
		Example: sh.examples("adopt acquired-1 --kubeconfig acquired.yaml --environment prod --dry-run",
			"adopt acquired-1 --kubeconfig acquired.yaml --environment prod",
			"adopt acquired-1 --kubeconfig acquired.yaml --environment prod --mode Manage --flux TakeOver"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sh.usage("adopt", "give the cluster one name, not %d", len(args))
			}
			return nil
		},
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVar(&v.kubeconfig, "kubeconfig", "", "Kubeconfig of the cluster to adopt, of an administrator")
	f.StringVar(&v.context, "context", "", "Context in it; without it the current one")
	f.StringVar(conn.kube.KubeConfig, "platform-kubeconfig", "", "Kubeconfig of the platform; without it KUBECONFIG")
	f.StringVar(conn.kube.Context, "platform-context", "", "Context of the platform; without it the current one")
	f.StringVarP(&v.environment, "environment", "e", "", "Environment that the cluster joins")
	f.StringVar(&v.mode, "mode", "", "What Fairway does there: Observe or Manage; without it Observe, or as it is")
	f.StringVar(&v.flux, "flux", "", "Whose Flux, in mode Manage: Managed is Fairway's, Existing the cluster's own, TakeOver makes that Fairway's; without it Managed, or as it is")
	f.DurationVar(&v.life, "token-life", adopt.DefaultLife, "How long a token is good for; the operator renews it when a third is left")
	f.BoolVar(&v.dryRun, "dry-run", false, "Only print the rights")
	complete(cmd, "mode", func() []string { return modes })
	complete(cmd, "flux", func() []string { return fluxInstalls })
	return cmd
}

var (
	modes        = []string{string(fleetv1.ModeObserve), string(fleetv1.ModeManage)}
	fluxInstalls = []string{string(fleetv1.FluxManaged), string(fleetv1.FluxExisting), string(fleetv1.FluxTakeOver)}
)

type adoptVerb struct {
	sh   *shell
	conn *connection

	kubeconfig, context     string
	environment, mode, flux string
	life                    time.Duration
	dryRun                  bool
}

func (v *adoptVerb) run(cmd *cobra.Command, args []string) error {
	a, err := v.adoption(args[0])
	if err != nil {
		return err
	}
	if v.dryRun {
		a.settle(fleetv1.WorkloadClusterSpec{})
		return a.printRights(cmd.OutOrStdout())
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	if a.member, err = openMember(v.kubeconfig, v.context); err != nil {
		return err
	}
	if a.platform, err = v.conn.platform(); err != nil {
		return err
	}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	if err := a.printRights(cmd.OutOrStdout()); err != nil {
		return err
	}
	if err := a.carryOut(ctx, cmd.ErrOrStderr()); err != nil {
		return err
	}
	done(cmd.ErrOrStderr(), "%s is adopted, in mode %s", a.name, a.want.Mode)
	if a.want.Mode == fleetv1.ModeObserve {
		hint(cmd.ErrOrStderr(), "what it runs and what would clash: %s describe cluster %s --survey", v.sh.name, a.name)
	} else {
		hint(cmd.ErrOrStderr(), "the cluster runs what the config repository has in clusters/%s: %s describe cluster %s", a.name, v.sh.name, a.name)
	}
	return nil
}

// adoption is what was asked for, once it is known to make sense.
func (v *adoptVerb) adoption(name string) (*adoption, error) {
	wrong := func(what, fix string) error {
		return &client.Error{Op: "adopt", Err: errors.New(what), Fix: fix}
	}
	switch {
	case len(validation.IsDNS1123Label(name)) > 0:
		return nil, wrong(fmt.Sprintf("%q cannot be a cluster's id", name), "use at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends")
	case v.environment == "":
		return nil, wrong("it has to join an environment", "name it: --environment prod")
	case len(validation.IsDNS1123Label(v.environment)) > 0:
		return nil, wrong(fmt.Sprintf("%q cannot be an environment", v.environment), "use lower-case letters, digits and dashes, such as prod")
	case v.mode != "" && !slices.Contains(modes, v.mode):
		return nil, wrong(fmt.Sprintf("there is no mode %q", v.mode), "use "+strings.Join(modes, " or "))
	case v.flux != "" && !slices.Contains(fluxInstalls, v.flux):
		return nil, wrong(fmt.Sprintf("%q is nobody's Flux", v.flux), "use "+strings.Join(fluxInstalls, " or "))
	case v.life < adopt.MinLife || v.life > adopt.MaxLife:
		return nil, wrong(fmt.Sprintf("a token cannot be good for %s", v.life), fmt.Sprintf("use from %s to %s", adopt.MinLife, adopt.MaxLife))
	case v.kubeconfig == "" && !v.dryRun:
		return nil, wrong("which cluster is not said", "give an administrator's kubeconfig of it with --kubeconfig; the platform's is KUBECONFIG or --platform-kubeconfig")
	}
	return &adoption{
		name: name, namespace: cmp.Or(v.conn.team(), clustersNamespace), environment: v.environment, operator: v.conn.namespace,
		want: adopt.Want{Mode: fleetv1.Mode(v.mode), Flux: fleetv1.FluxInstall(v.flux)}, life: v.life,
	}, nil
}

// printRights says what the account will be able to do.
func (a *adoption) printRights(w io.Writer) error {
	rights, err := adopt.Rights(a.want.Objects())
	if err != nil {
		return fmt.Errorf("list rights: %w", err)
	}
	fmt.Fprintf(w, "Service account %s/%s on the cluster %s may, in mode %s:\n\n", adopt.Namespace, adopt.Account, a.name, a.want.Mode)
	where := ""
	for _, right := range rights {
		if right.Where != where {
			where = right.Where
			fmt.Fprintf(w, "%s\n", where)
		}
		fmt.Fprintf(w, "  %s: %s\n", right.Verbs, right.Resources)
	}
	fmt.Fprintf(w, "\nIts token is good for %s.\n", a.life)
	return nil
}

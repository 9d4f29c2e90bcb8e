package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

func newPromote(sh *shell, conn *connection) *cobra.Command {
	v := &promoteVerb{asking: asking{sh: sh, conn: conn, verb: "promote"}}
	cmd := &cobra.Command{
		Use:   "promote [TEAM/SERVICE] --to ENVIRONMENT",
		Short: "Release to an environment what runs in the one before it",
		Long: `Release to an environment what runs in the one before it.

What runs there is what its newest release that succeeded has brought to all of its clusters. When they run different artifacts it is
not guessed which one is meant: name it with --artifact. Without --from it is the environment that the Environment's promotesFrom names.`,
		Example: sh.examples("promote payments/ledger --from staging --to prod --wait", "promote --to prod"),
		Args:    atMostOne(sh, "promote"),
		RunE:    v.run,
	}
	f := cmd.Flags()
	f.StringVar(&v.from, "from", "", "Environment that runs it; without it the one that comes before")
	f.StringVar(&v.to, "to", "", "Environment that is to run it")
	f.StringVar(&v.artifact, "artifact", "", "This artifact, where several run")
	v.addFlags(cmd)
	return cmd
}

type promoteVerb struct {
	asking
	from, to, artifact string
}

func (v *promoteVerb) run(cmd *cobra.Command, args []string) error {
	switch {
	case v.to == "":
		return v.sh.usage(v.verb, "say where to: --to prod")
	case v.from == v.to:
		return v.sh.usage(v.verb, "--from and --to are both %s", v.to)
	}
	service, err := v.conn.findID(v.sh, v.verb, v.service, args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	all, err := platform.environments(ctx)
	if err != nil {
		return err
	}
	from, err := v.before(all)
	if err != nil {
		return err
	}
	items, err := platform.of(ctx, service)
	if err != nil {
		return err
	}
	id, err := v.runs(service, items, from)
	if err != nil {
		return err
	}
	done(cmd.ErrOrStderr(), "%s runs %s", from.Name, id)
	wanted := newRelease(service, id, v.to, fleetv1.IntentPromote)
	wanted.Spec.From = from.Name
	return v.place(ctx, cmd, platform, []fleetv1.Release{wanted})
}

// before is the environment that is promoted from.
func (v *promoteVerb) before(all []fleetv1.Environment) (*fleetv1.Environment, error) {
	to, err := environmentOf(v.sh, all, v.to)
	if err != nil {
		return nil, err
	}
	switch {
	case v.from != "":
		return environmentOf(v.sh, all, v.from)
	case to.Spec.PromotesFrom != nil:
		return environmentOf(v.sh, all, to.Spec.PromotesFrom.Environment)
	}
	return nil, v.sh.usage(v.verb, "the Environment %s promotes from none: say --from", v.to)
}

func environmentOf(sh *shell, all []fleetv1.Environment, name string) (*fleetv1.Environment, error) {
	var have []string
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
		have = append(have, all[i].Name)
	}
	return nil, sh.missingFrom("environment", name, "kubectl get environments", have)
}

// runs is the artifact that all clusters of an environment run.
func (v *promoteVerb) runs(service serviceID, items []fleetv1.Release, from *fleetv1.Environment) (string, error) {
	op := fmt.Sprintf("promote %s from %s", service, from.Name)
	succeeded := map[string]bool{}
	for _, r := range items {
		if r.Spec.Environment == from.Name && r.Status.Phase == fleetv1.PhaseSucceeded {
			succeeded[r.Spec.Artifact] = true
		}
	}
	history := fmt.Sprintf("%s history %s --env %s", v.sh.name, service, from.Name)
	if len(succeeded) == 0 {
		return "", fail(op, "what was tried: "+history, "no release of it has succeeded there")
	}
	if v.artifact != "" {
		if !succeeded[v.artifact] {
			return "", v.sh.missingFrom("artifact that succeeded in "+from.Name, v.artifact, history, slices.Collect(maps.Keys(succeeded)))
		}
		return v.artifact, nil
	}
	byArtifact := clustersByArtifact(told(items, from.Name), from)
	if len(byArtifact) != 1 {
		return "", skewed(op, v.to, byArtifact, succeeded)
	}
	id := slices.Collect(maps.Keys(byArtifact))[0]
	if !succeeded[id] {
		return "", fail(op, "wait until it has, or look: "+history, "%s runs there, and has not succeeded", id)
	}
	return id, nil
}

// clustersByArtifact turns what each cluster was told to run. A cluster of the environment that was told
// nothing is under "".
func clustersByArtifact(told map[string]string, environment *fleetv1.Environment) map[string][]string {
	out := map[string][]string{}
	for _, cluster := range environment.Status.Clusters {
		if _, known := told[cluster.ID]; !known {
			out[""] = append(out[""], cluster.ID)
		}
	}
	for _, cluster := range slices.Sorted(maps.Keys(told)) {
		if known := slices.ContainsFunc(environment.Status.Clusters, func(c fleetv1.EnvironmentCluster) bool { return c.ID == cluster }); known || len(environment.Status.Clusters) == 0 {
			out[told[cluster]] = append(out[told[cluster]], cluster)
		}
	}
	return out
}

// skewed is the error of clusters that run different artifacts: it names them, and how to choose.
func skewed(op, to string, byArtifact map[string][]string, succeeded map[string]bool) error {
	var runs, choices []string
	for _, id := range slices.Sorted(maps.Keys(byArtifact)) {
		what := id
		if what == "" {
			what = "nothing"
		}
		runs = append(runs, fmt.Sprintf("%s on %s", what, strings.Join(byArtifact[id], ", ")))
		if succeeded[id] {
			choices = append(choices, "--artifact "+id)
		}
	}
	if len(choices) == 0 {
		return fail(op, "release one artifact to all of them first", "its clusters do not run the same: %s", listed(runs, "and"))
	}
	return &client.Error{Op: op, Err: fmt.Errorf("its clusters do not run the same: %s", listed(runs, "and")),
		Fix: fmt.Sprintf("choose what goes to %s: %s", to, listed(choices, "or"))}
}

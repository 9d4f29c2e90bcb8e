package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func newRollback(sh *shell, conn *connection) *cobra.Command {
	v := &rollbackVerb{asking: asking{sh: sh, conn: conn, verb: "rollback"}}
	cmd := &cobra.Command{
		Use:   "rollback [TEAM/SERVICE] --env ENVIRONMENT",
		Short: "Release to an environment what ran there before",
		Long: `Release to an environment what ran there before: the artifact of the newest release that succeeded before the one that counts now.
After a rollback it goes further back, and not forth again. --artifact names any other that has succeeded there.

It asks nobody: approvals, freezes and the promotion path do not hold it up. The branches that may go there do.`,
		Example: sh.examples("rollback payments/ledger --env prod --wait", "rollback --env prod --artifact main-81aa03e-77c0 -m 'the rates are wrong'"),
		Args:    atMostOne(sh, "rollback"),
		RunE:    v.run,
	}
	cmd.Flags().StringVarP(&v.environment, "env", "e", "", "Environment")
	cmd.Flags().StringVar(&v.artifact, "artifact", "", "This artifact, of those that have succeeded there")
	v.addFlags(cmd)
	return cmd
}

type rollbackVerb struct {
	asking
	environment, artifact string
}

func (v *rollbackVerb) run(cmd *cobra.Command, args []string) error {
	if v.environment == "" {
		return v.sh.usage(v.verb, "say where: --env prod")
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
	if err := v.knowEnvironments(ctx, platform, cmd.ErrOrStderr(), v.environment); err != nil {
		return err
	}
	items, err := platform.of(ctx, service)
	if err != nil {
		return err
	}
	back, err := v.target(service, items)
	if err != nil {
		return err
	}
	done(cmd.ErrOrStderr(), "back to %s, which %s brought there: healthy since %s", back.Spec.Artifact, releaseName(back), v.sh.moment(healthyAt(back)))
	return v.place(ctx, cmd, platform, []fleetv1.Release{newRelease(service, back.Spec.Artifact, v.environment, fleetv1.IntentRollback)})
}

// target is the Release whose artifact is gone back to.
func (v *rollbackVerb) target(service serviceID, items []fleetv1.Release) (*fleetv1.Release, error) {
	op := fmt.Sprintf("roll back %s in %s", service, v.environment)
	history := fmt.Sprintf("%s history %s --env %s", v.sh.name, service, v.environment)
	there := slices.DeleteFunc(slices.Clone(items), func(r fleetv1.Release) bool { return r.Spec.Environment != v.environment })
	if v.artifact == "" {
		if r := previous(there); r != nil {
			return r, nil
		}
		if len(there) == 0 {
			return nil, fail(op, fmt.Sprintf("where it is: %s history %s", v.sh.name, service), "nothing was released there yet")
		}
		return nil, fail(op, "what was tried: "+history, "nothing has succeeded there before what runs now")
	}
	var have []string
	for i := range there {
		if there[i].Status.Phase != fleetv1.PhaseSucceeded {
			continue
		}
		if there[i].Spec.Artifact == v.artifact {
			return &there[i], nil
		}
		have = append(have, there[i].Spec.Artifact)
	}
	return nil, v.sh.missingFrom("artifact that succeeded in "+v.environment, v.artifact, history, unique(have))
}

// previous is the Release, of one service and environment and newest first, that succeeded before the one
// that counts now; nil when there is none. A rollback takes back what came after the one that it went to, so
// that the next one goes further.
func previous(items []fleetv1.Release) *fleetv1.Release {
	var succeeded []*fleetv1.Release // the last one may be what runs now
	current := ""
	for i := range slices.Backward(items) {
		r := &items[i]
		if !counts(r) {
			continue
		}
		current = r.Spec.Artifact
		if at := lastOf(succeeded, current); r.Spec.Intent == fleetv1.IntentRollback && at >= 0 {
			succeeded = succeeded[:at+1]
		} else if r.Status.Phase == fleetv1.PhaseSucceeded && (at < 0 || at < len(succeeded)-1) {
			succeeded = append(succeeded, r)
		}
	}
	for _, r := range slices.Backward(succeeded) {
		if r.Spec.Artifact != current {
			return r
		}
	}
	return nil
}

// lastOf is where the last Release of an artifact is; -1: nowhere.
func lastOf(items []*fleetv1.Release, artifact string) int {
	for i, r := range slices.Backward(items) {
		if r.Spec.Artifact == artifact {
			return i
		}
	}
	return -1
}

// counts says whether clusters run what a Release asked for, as far as it came. One that was rolled back by
// itself does not count.
func counts(r *fleetv1.Release) bool {
	switch r.Status.Phase {
	case fleetv1.PhaseReleasing, fleetv1.PhaseSucceeded, fleetv1.PhaseFailed:
		return true
	}
	return false
}

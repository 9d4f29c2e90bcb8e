package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

func newApprove(sh *shell, conn *connection) *cobra.Command {
	v := &approveVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "approve {TEAM/RELEASE | TEAM/SERVICE --env ENVIRONMENT}",
		Short: "Approve a release that somebody else asked for",
		Long: `Approve a release that somebody else asked for. Of a service it is the newest one that waits in the environment.

It takes the verb approve on releases (fleet.fairway.dev) in the team's namespace: the platform lets those who have it add their own
approval and nothing else. The word of the one who asked does not count.`,
		Example: sh.examples("approve payments/ledger-7k2x9", "approve payments/ledger --env prod -m 'seen in staging'"),
		Args:    exactlyOne(sh, "approve", "release, or the service"),
		RunE:    v.run,
	}
	cmd.Flags().StringVarP(&v.environment, "env", "e", "", "Environment, of a service")
	cmd.Flags().StringVarP(&v.message, "message", "m", "", "What to say with it")
	v.out.addFlags(cmd, listFormats...)
	alsoEnvironment(cmd.Flags())
	return cmd
}

type approveVerb struct {
	sh                   *shell
	conn                 *connection
	environment, message string
	out                  output
}

func (v *approveVerb) run(cmd *cobra.Command, args []string) error {
	name, err := v.conn.findID(v.sh, "approve", "", args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	by, err := platform.caller(ctx)
	if err != nil {
		return err
	}
	r, err := v.meant(ctx, platform, name)
	if err != nil {
		return err
	}
	if err := v.approve(ctx, platform, r, by, cmd.ErrOrStderr()); err != nil {
		return err
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, releaseDocument(v.sh, []fleetv1.Release{*r})); err != nil {
		return fmt.Errorf("print release: %w", err)
	}
	return nil
}

// meant is the Release of that name, or the newest one of the service of that name that waits.
func (v *approveVerb) meant(ctx context.Context, platform releases, name serviceID) (*fleetv1.Release, error) {
	r := &fleetv1.Release{}
	err := platform.Get(ctx, kube.ObjectKey{Namespace: name.team, Name: name.name}, r)
	if err == nil {
		return r, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, &client.Error{Op: "read Release " + name.String(), Err: err, Fix: fixOfRelease(err, name.team)}
	}
	items, err := platform.of(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, v.unknown(ctx, platform, name)
	}
	if v.environment == "" {
		return nil, v.sh.usage("approve", "%s is a service: say where it is released to, with --env", name)
	}
	for i := range items {
		if items[i].Spec.Environment == v.environment && !items[i].Status.Phase.Final() {
			return &items[i], nil
		}
	}
	return nil, fail("approve "+name.String(), fmt.Sprintf("what became of the others: %s history %s --env %s", v.sh.name, name, v.environment),
		"no release of it waits in %s", v.environment)
}

// unknown is the error for what is neither a Release nor a service, with those that look like it.
func (v *approveVerb) unknown(ctx context.Context, platform releases, name serviceID) error {
	var list fleetv1.ReleaseList
	if err := platform.List(ctx, &list, kube.InNamespace(name.team)); err != nil {
		return &client.Error{Op: "list Releases", Err: err, Fix: fixOfRelease(err, name.team)}
	}
	var have []string
	for i := range list.Items {
		if !list.Items[i].Status.Phase.Final() {
			have = append(have, releaseName(&list.Items[i]))
		}
	}
	have = append(have, platform.services(ctx, name.team)...)
	return v.sh.missingFrom("release or service", name.String(), "kubectl -n "+name.team+" get releases", unique(have))
}

// approve adds the caller's approval, and takes the Release as it is then.
func (v *approveVerb) approve(ctx context.Context, platform releases, r *fleetv1.Release, by string, stderr io.Writer) error {
	op := "approve " + releaseName(r)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := platform.Get(ctx, kube.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		switch {
		case r.Status.Phase.Final():
			return fail(op, fmt.Sprintf("what runs: %s status %s", v.sh.name, serviceID{r.Namespace, r.Spec.Service}), "it has ended: %s", r.Status.Phase)
		case r.Spec.RequestedBy == by:
			return fail(op, "ask someone else who may", "you asked for it yourself, as %s", by)
		case slices.ContainsFunc(r.Spec.Approvals, func(a fleetv1.Approval) bool { return a.By == by }):
			caution(stderr, "you have approved it before")
			return nil
		}
		before := r.DeepCopy()
		r.Spec.Approvals = append(r.Spec.Approvals, fleetv1.Approval{By: by, At: metav1.NewTime(v.sh.now()), Message: v.message})
		return platform.Patch(ctx, r, kube.MergeFromWithOptions(before, kube.MergeFromWithOptimisticLock{}), kube.FieldOwner(orderOwner))
	})
	var ours *client.Error
	switch {
	case errors.As(err, &ours):
		return err
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return &client.Error{Op: op, Err: err, Fix: fmt.Sprintf("it takes the verb approve on releases; whether you have it: kubectl -n %s auth can-i approve releases.fleet.fairway.dev", r.Namespace)}
	case err != nil:
		return &client.Error{Op: op, Err: err, Fix: fixOfRelease(err, r.Namespace)}
	}
	done(stderr, "%s approves %s: %s in %s, asked for by %s", by, releaseName(r), r.Spec.Artifact, r.Spec.Environment, r.Spec.RequestedBy)
	if others := approvers(r, by); len(others) > 0 {
		hint(stderr, "so do %s", strings.Join(others, ", "))
	}
	return nil
}

// approvers are those who approved a Release, but for one.
func approvers(r *fleetv1.Release, but string) []string {
	var out []string
	for _, a := range r.Spec.Approvals {
		if a.By != but {
			out = append(out, a.By)
		}
	}
	return out
}

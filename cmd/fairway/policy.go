package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/policy"
)

func newPolicy(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Say what is released by itself and what may go where, and see what would happen",
		RunE:  sayWhat(sh, "policy", "list", "apply", "delete", "simulate"),
	}
	cmd.AddCommand(newPolicyList(sh, conn), newPolicyApply(sh, conn), newPolicyDelete(sh, conn), newPolicySimulate(sh, conn))
	return cmd
}

// sayWhat is a verb that does nothing by itself.
func sayWhat(sh *shell, verb string, have ...string) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		what := strings.Join(args, " ")
		if close := near(what, have); what != "" && len(close) > 0 {
			return sh.usage(verb, "there is no %q; did you mean %s?", what, close[0])
		}
		return sh.usage(verb, "say what: %s", listed(have, "or"))
	}
}

// policies lists the ReleasePolicies of a team, or of one of its services.
func (r releases) policies(ctx context.Context, service serviceID) ([]fleetv1.ReleasePolicy, error) {
	var list fleetv1.ReleasePolicyList
	if err := r.List(ctx, &list, kube.InNamespace(service.team)); err != nil {
		return nil, &client.Error{Op: "list the ReleasePolicies of " + service.team, Err: err, Fix: fixOfRelease(err, service.team)}
	}
	items := slices.DeleteFunc(list.Items, func(p fleetv1.ReleasePolicy) bool { return service.name != "" && p.Spec.Service != service.name })
	slices.SortFunc(items, func(a, b fleetv1.ReleasePolicy) int { return strings.Compare(a.Name, b.Name) })
	return items, nil
}

// policyChange changes what the policies of a service say of one environment.
type policyChange struct {
	sh          *shell
	service     serviceID
	environment string
	says        func(*fleetv1.ReleasePolicySpec) bool // says something of the kind about the environment
	set         func(*fleetv1.ReleasePolicySpec)
}

// holder is the policy that says something already; else the one of the service's name, else any of the
// service, else nil.
func (c *policyChange) holder(items []fleetv1.ReleasePolicy) *fleetv1.ReleasePolicy {
	for _, is := range []func(fleetv1.ReleasePolicy) bool{
		func(p fleetv1.ReleasePolicy) bool { return c.says(&p.Spec) },
		func(p fleetv1.ReleasePolicy) bool { return p.Name == c.service.name },
		func(fleetv1.ReleasePolicy) bool { return true },
	} {
		if i := slices.IndexFunc(items, is); i >= 0 {
			return &items[i]
		}
	}
	return nil
}

// apply writes the change into the policy that it belongs to, made when there is none, and gives it. What
// contradicts an Environment is refused before.
func (c *policyChange) apply(ctx context.Context, platform releases) (*fleetv1.ReleasePolicy, error) {
	environments, err := platform.environments(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := environmentOf(c.sh, environments, c.environment); err != nil {
		return nil, err
	}
	var out *fleetv1.ReleasePolicy
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		items, err := platform.policies(ctx, c.service)
		if err != nil {
			return err
		}
		if out = c.holder(items); out == nil {
			out = &fleetv1.ReleasePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: c.service.team, Name: c.service.name}, Spec: fleetv1.ReleasePolicySpec{Service: c.service.name}}
		}
		before := out.DeepCopy()
		c.set(&out.Spec)
		if found := policy.Contradictions(out, environments); len(found) > 0 {
			return &client.Error{Op: "apply the policy of " + c.service.String(), Err: errors.New(strings.Join(found, "; ")),
				Fix: "change the policy, or have the Environment changed; both: " + c.sh.name + " policy list " + c.service.String()}
		}
		if out.UID == "" {
			return platform.Create(ctx, out, kube.FieldOwner(orderOwner))
		}
		return platform.Patch(ctx, out, kube.MergeFromWithOptions(before, kube.MergeFromWithOptimisticLock{}), kube.FieldOwner(orderOwner))
	})
	return out, c.explain("apply", err)
}

// remove takes what policies say of the environment out of them; one that says nothing more is deleted. It
// gives the names of those that it changed.
func (c *policyChange) remove(ctx context.Context, platform releases) (changed []string, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		items, err := platform.policies(ctx, c.service)
		if err != nil {
			return err
		}
		for i := range items {
			p := &items[i]
			if !c.says(&p.Spec) {
				continue
			}
			before := p.DeepCopy()
			if c.set(&p.Spec); len(p.Spec.AutoRelease)+len(p.Spec.Branches) == 0 {
				err = platform.Delete(ctx, p, kube.Preconditions{UID: &p.UID, ResourceVersion: &p.ResourceVersion})
			} else {
				err = platform.Patch(ctx, p, kube.MergeFromWithOptions(before, kube.MergeFromWithOptimisticLock{}), kube.FieldOwner(orderOwner))
			}
			if err != nil {
				return err
			}
			changed = append(changed, p.Namespace+"/"+p.Name)
		}
		return nil
	})
	return changed, c.explain("delete", err)
}

// explain gives an error of the platform its fix.
func (c *policyChange) explain(verb string, err error) error {
	var ours *client.Error
	switch {
	case err == nil, errors.As(err, &ours):
		return err
	case apierrors.IsNotFound(err):
		return fail(verb+" the policy of "+c.service.String(), "list them: kubectl get namespaces", "there is no team %s: %w", c.service.team, err)
	}
	return &client.Error{Op: fmt.Sprintf("%s the policy of %s", verb, c.service), Err: err, Fix: fixOfRelease(err, c.service.team)}
}

package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/team"
)

// verbs are what Flux does with a kind that it applies, waits for and prunes.
var verbs = []string{"get", "list", "create", "patch", "delete"}

// right is what an account may do with a kind.
type right struct {
	resource schema.GroupResource
	verb     string
}

// rights says what the team's account may not do that it will have to, one problem a kind.
func (k check) rights(ctx context.Context, objs []target) ([]Problem, error) {
	var ask []right
	for _, obj := range objs {
		for _, verb := range verbs {
			if each := (right{obj.resource, verb}); !slices.Contains(ask, each) {
				ask = append(ask, each)
			}
		}
	}
	denied, err := k.denied(ctx, ask)
	var out []Problem
	for i, obj := range objs {
		first := !slices.ContainsFunc(objs[:i], func(before target) bool { return before.resource == obj.resource })
		if missing := denied[obj.resource]; first && len(missing) > 0 {
			out = append(out, failed(obj.id, "the team's account %s may not %s %s in namespace %s; the platform can let it, by a ClusterRole labelled %s=true",
				team.Account(k.of.team), strings.Join(missing, ", "), obj.resource, k.of.team, team.LabelAggregate))
		}
	}
	return out, err
}

// denied are the verbs that the account lacks, by kind. What is missing is asked for again until it has had time to become
// known.
func (k check) denied(ctx context.Context, ask []right) (map[schema.GroupResource][]string, error) {
	var failure error
	err := wait.PollUntilContextTimeout(ctx, settleInterval, settleTime, true, func(context.Context) (bool, error) {
		ask, failure = k.lacking(ctx, ask)
		return len(ask) == 0, failure
	})
	if failure == nil && ctx.Err() != nil && err != nil {
		failure = ctx.Err()
	}
	out := map[schema.GroupResource][]string{}
	for _, each := range ask {
		out[each.resource] = append(out[each.resource], each.verb)
	}
	return out, failure
}

// lacking are the rights that the account does not have, in their order.
func (k check) lacking(ctx context.Context, ask []right) ([]right, error) {
	var mu sync.Mutex
	lacks := map[right]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, each := range ask {
		g.Go(func() error {
			allowed, err := k.may(ctx, each)
			mu.Lock()
			defer mu.Unlock()
			lacks[each] = !allowed
			return err
		})
	}
	err := g.Wait()
	return slices.DeleteFunc(slices.Clone(ask), func(each right) bool { return !lacks[each] }), err
}

// may asks the cluster whether the team's account has a right.
func (k check) may(ctx context.Context, of right) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + fleetv1.FluxNamespace + ":" + team.Account(k.of.team),
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + fleetv1.FluxNamespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: k.of.team, Verb: of.verb, Group: of.resource.Group, Resource: of.resource.Resource,
		},
	}}
	if err := k.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask what the team's account may do: %w", err)
	}
	return review.Status.Allowed, nil
}

package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
)

// concurrency of requests to one cluster.
const concurrency = 4

// How long a missing right is asked for again, and how often: API servers learn of a right that was just given in their own
// time.
const (
	settleTime     = 3 * time.Second
	settleInterval = 250 * time.Millisecond
)

// Check has a cluster try out what Objects or Build made of one artifact. Nothing is written. c is Fairway's own client of the
// cluster. The team's namespace, account and rights are to be there: clusters/team's Apply comes before Check.
//
// It asks whether the cluster knows every kind; whether the team's account may do with it what Flux will do as that account;
// whether an object is another service's; and has the API server apply each object in a dry run, with defaults, validation and
// admission. The dry run is Fairway's own, so that an admission rule that depends on who asks may say otherwise to Flux.
//
// An error says that the cluster could not be asked, or not about everything, and nothing of the artifact: it wraps those of
// remote.Classify, or is an answer that another try may mend, as of a webhook that is down. It takes at most two requests an
// object and five a kind, and some more for a few seconds while a right is missing.
func Check(ctx context.Context, c client.Client, objs []*unstructured.Unstructured) ([]Problem, error) {
	if len(objs) == 0 {
		return nil, nil
	}
	labels := objs[0].GetLabels()
	k := check{client: c, of: identity{team: labels[fleetv1.LabelTeam], service: labels[fleetv1.LabelService], artifact: labels[fleetv1.LabelArtifact]}}
	problems, err := k.run(ctx, objs)
	if err != nil {
		return nil, remote.Classify(err)
	}
	return problems, nil
}

// check is one Check.
type check struct {
	client client.Client
	of     identity
}

func (k check) run(ctx context.Context, objs []*unstructured.Unstructured) ([]Problem, error) {
	if problems, err := k.namespace(ctx); err != nil || len(problems) > 0 {
		return problems, err
	}
	known, problems, err := k.kinds(objs)
	if err != nil {
		return nil, err
	}
	missing, err := k.rights(ctx, known)
	if err != nil {
		return nil, err
	}
	refused, err := k.objects(ctx, known)
	return slices.Concat(problems, missing, refused), err
}

// namespace looks for the team's.
func (k check) namespace(ctx context.Context) ([]Problem, error) {
	have := &metav1.PartialObjectMetadata{}
	have.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := k.client.Get(ctx, client.ObjectKey{Name: k.of.team}, have)
	switch {
	case apierrors.IsNotFound(err):
		return []Problem{failed("Namespace/"+k.of.team, "the cluster has no such namespace")}, nil
	case err != nil:
		return nil, fmt.Errorf("look at namespace %s: %w", k.of.team, err)
	case have.DeletionTimestamp != nil:
		return []Problem{failed("Namespace/"+k.of.team, "the namespace is being deleted")}, nil
	}
	return nil, nil
}

// target is an object whose kind the cluster has.
type target struct {
	*unstructured.Unstructured
	id       string
	resource schema.GroupResource
}

// kinds sorts out the objects whose kind the cluster does not have, or not in namespaces.
func (k check) kinds(objs []*unstructured.Unstructured) ([]target, []Problem, error) {
	var known []target
	var problems []Problem
	for _, obj := range objs {
		gvk := obj.GroupVersionKind()
		mapping, err := k.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case meta.IsNoMatchError(err):
			problems = append(problems, unknown(obj))
		case err != nil:
			return nil, nil, fmt.Errorf("ask for the kind %s of %s: %w", gvk.Kind, obj.GetAPIVersion(), err)
		case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
			problems = append(problems, ofCluster(gvk.Kind, ssautil.FmtUnstructured(obj)))
		default:
			known = append(known, target{obj, ssautil.FmtUnstructured(obj), mapping.Resource.GroupResource()})
		}
	}
	return known, problems, nil
}

func unknown(obj *unstructured.Unstructured) Problem {
	return failed(ssautil.FmtUnstructured(obj), "the cluster has no kind %s of %s; a layer of the platform can bring its definition", obj.GetKind(), obj.GetAPIVersion())
}

// objects tries out each object.
func (k check) objects(ctx context.Context, objs []target) ([]Problem, error) {
	found := make([]*Problem, len(objs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i, obj := range objs {
		g.Go(func() (err error) {
			found[i], err = k.object(ctx, obj)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Problem
	for _, each := range found {
		if each != nil {
			out = append(out, *each)
		}
	}
	return out, nil
}

// object tries out one object; nil when the cluster takes it, or Flux would leave it alone.
func (k check) object(ctx context.Context, obj target) (*Problem, error) {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	err := k.settled(ctx, func() error { return k.client.Get(ctx, client.ObjectKeyFromObject(obj), live) })
	there := err == nil
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("read %s: %w", obj.id, err)
	}
	if leftAlone(obj, live, there) {
		return nil, nil
	}
	if by := k.of.taker(live); by != "" {
		out := problem(fleetv1.ReasonObjectTaken, obj.id, "it is %s; give it another name, or take it out of there first", by)
		return &out, nil
	}
	err = k.settled(ctx, func() error {
		return k.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), client.DryRunAll, client.ForceOwnership, client.FieldOwner(fluxManager))
	})
	return verdict(obj, live, err)
}

// settled asks until the answer is another one than that Fairway's own account lacks a right, or for settleTime.
func (k check) settled(ctx context.Context, ask func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, settleInterval, settleTime, true, func(context.Context) (bool, error) {
		last = ask()
		return !lacksRight(last), nil
	})
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return last
}

// lacksRight says whether an answer is that the account that asked lacks a right.
func lacksRight(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `: User "`) && strings.Contains(err.Error(), ` cannot `)
}

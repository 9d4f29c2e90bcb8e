package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// serviceID names a service: its team is a namespace of the platform.
type serviceID struct{ team, name string }

func (s serviceID) String() string { return s.team + "/" + s.name }

// releases are the platform's Releases, with the caller's rights.
type releases struct{ kube.WithWatch }

// openReleases connects to the platform cluster.
func (c *connection) openReleases() (releases, error) {
	platform, err := c.platform()
	return releases{platform}, err
}

// of lists the Releases of a service, newest first.
func (r releases) of(ctx context.Context, service serviceID) ([]fleetv1.Release, error) {
	var list fleetv1.ReleaseList
	if err := r.List(ctx, &list, kube.InNamespace(service.team)); err != nil {
		return nil, &client.Error{Op: "list the Releases of " + service.String(), Err: err, Fix: fixOfRelease(err, service.team)}
	}
	items := slices.DeleteFunc(list.Items, func(r fleetv1.Release) bool { return r.Spec.Service != service.name })
	newestFirst(items)
	return items, nil
}

// newestFirst sorts Releases; of those of one second the later name is taken for the newer one.
func newestFirst(items []fleetv1.Release) {
	slices.SortFunc(items, func(a, b fleetv1.Release) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
}

// services lists the services that have Releases or ReleasePolicies, as far as the caller may see them: in
// every team, or in this one.
func (r releases) services(ctx context.Context, team string) []string {
	var names []string
	for _, namespace := range []string{"", team} {
		var list fleetv1.ReleaseList
		var policies fleetv1.ReleasePolicyList
		// What may not be listed offers no names: they are for hints only.
		if r.List(ctx, &list, kube.InNamespace(namespace)) != nil || r.List(ctx, &policies, kube.InNamespace(namespace)) != nil {
			continue
		}
		for _, item := range list.Items {
			names = append(names, serviceID{item.Namespace, item.Spec.Service}.String())
		}
		for _, item := range policies.Items {
			names = append(names, serviceID{item.Namespace, item.Spec.Service}.String())
		}
		break
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// environments lists the Environments in the order of their promotion paths.
func (r releases) environments(ctx context.Context) ([]fleetv1.Environment, error) {
	var list fleetv1.EnvironmentList
	if err := r.List(ctx, &list); err != nil {
		return nil, &client.Error{Op: "list the Environments", Err: err, Fix: fixOfRelease(err, "")}
	}
	return inOrder(list.Items), nil
}

// inOrder sorts Environments so that each comes after the one that it promotes from, and by name.
func inOrder(items []fleetv1.Environment) []fleetv1.Environment {
	depth := func(e fleetv1.Environment) int {
		n := 0
		for e.Spec.PromotesFrom != nil && n < len(items) { // a path that leads back ends, too
			i := slices.IndexFunc(items, func(x fleetv1.Environment) bool { return x.Name == e.Spec.PromotesFrom.Environment })
			if i < 0 {
				break
			}
			e = items[i]
			n++
		}
		return n
	}
	out := slices.Clone(items)
	slices.SortFunc(out, func(a, b fleetv1.Environment) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// told is what every cluster of an environment was last told to run, as Releases (newest first) say. A
// cluster that no Release has moved is not in it. What counts is the config repository.
func told(items []fleetv1.Release, environment string) map[string]string {
	out := map[string]string{}
	for _, r := range slices.Backward(items) {
		if r.Spec.Environment != environment {
			continue
		}
		for _, t := range r.Status.Targets {
			switch t.State {
			case fleetv1.TargetWaiting, "":
			case fleetv1.TargetRolledBack:
				out[t.Cluster] = t.Previous
			default:
				out[t.Cluster] = r.Spec.Artifact
			}
		}
	}
	return out
}

// healthyAt is when the last cluster became healthy; zero while one is not.
func healthyAt(r *fleetv1.Release) (at time.Time) {
	if r.Status.Phase != fleetv1.PhaseSucceeded {
		return at
	}
	for _, t := range r.Status.Targets {
		if t.AvailableAt != nil && t.AvailableAt.After(at) {
			at = t.AvailableAt.Time
		}
	}
	if at.IsZero() && r.Status.FinishedAt != nil {
		at = r.Status.FinishedAt.Time
	}
	return at
}

// releaseName is <team>/<name>, as commits of the config repository have it.
func releaseName(r *fleetv1.Release) string { return r.Namespace + "/" + r.Name }

// phase of a Release; one that nobody has looked at yet is pending.
func phase(r *fleetv1.Release) fleetv1.Phase { return cmp.Or(r.Status.Phase, fleetv1.PhasePending) }

func phaseLook(p fleetv1.Phase) look {
	switch p {
	case fleetv1.PhaseSucceeded:
		return good
	case fleetv1.PhaseFailed, fleetv1.PhaseRefused, fleetv1.PhaseRolledBack:
		return bad
	case fleetv1.PhaseSuperseded:
		return faint
	}
	return warn
}

// obstacle is the condition that says why a Release is where it is, nil when every step is done or none has
// begun.
func obstacle(r *fleetv1.Release) (kind, reason, message string) {
	for _, kind := range []string{fleetv1.ConditionAdmitted, fleetv1.ConditionChecked, fleetv1.ConditionCommitted, fleetv1.ConditionAvailable} {
		if c := meta.FindStatusCondition(r.Status.Conditions, kind); c != nil && c.Status != metav1.ConditionTrue {
			return kind, c.Reason, c.Message
		}
	}
	if c := meta.FindStatusCondition(r.Status.Conditions, fluxmeta.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue {
		return c.Type, c.Reason, c.Message
	}
	return "", "", ""
}

// fixOfRelease is what can be done when the platform does not do what is asked of Releases.
func fixOfRelease(err error, team string) string {
	switch {
	case meta.IsNoMatchError(err):
		return "the platform does not know this kind: install Fairway there (fairway install --export), or check the context: kubectl config current-context"
	case apierrors.IsForbidden(err) && team != "":
		return fmt.Sprintf("ask for the right in namespace %s; what you may do there: kubectl -n %s auth can-i --list", team, team)
	case apierrors.IsForbidden(err):
		return "ask a platform engineer for the right"
	}
	return fixOfPlatform(err)
}

// fail is an error of a verb about a service.
func fail(op, fix, format string, args ...any) error {
	return &client.Error{Op: op, Err: fmt.Errorf(format, args...), Fix: fix}
}

// listed joins names for a sentence; last stands before the last one: "and", "or".
func listed(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

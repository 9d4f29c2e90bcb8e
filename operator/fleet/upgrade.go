package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/rings"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Health is how Flux on a cluster is, as the fleet view has it.
type Health struct {
	Connected bool           // the agent's heartbeats arrive, and all that it knows is in the view
	Silent    time.Time      // its last heartbeat, when they have stopped; zero: they have not, or never came
	Failure   *rings.Trouble // of Flux, that began since the moment asked for and lasts; nil: there is none
	Calm      time.Time      // when the last such ended; zero: there was none
}

// View is the fleet view, as far as an upgrade needs it.
type View interface {
	// Flux says how Flux on a cluster has been since a moment.
	Flux(cluster string, since time.Time) Health
	// Blind says why nothing can be said of any cluster at the moment, and since when; nil when it can.
	Blind() (since time.Time, why error)
}

// Names of the rings that no Fleet names.
const (
	ringAll    = "all"    // every cluster, when there are no rings
	ringOthers = "others" // the clusters that no ring selects
)

// defaultConcurrent and defaultTimeout are the API's.
const (
	defaultConcurrent = 10
	defaultTimeout    = 10 * time.Minute
)

// blindPatience is how long what was said of an upgrade stands while nothing can be seen: a restart of the
// operator is no news.
const blindPatience = time.Minute

// upgrade decides which clusters may have which version of Flux, and remembers the failures that halt it.
// Without a status there is nothing new to say.
func (r *Reconciler) upgrade(ctx context.Context, obj *fleetv1.Fleet, version string, clusters []fleetv1.WorkloadCluster) (steps.Outcome, *fleetv1.FluxUpgradeStatus) {
	in, invalid := r.upgradeInput(obj, cmp.Or(version, obj.Status.FluxVersion))
	members := membersOf(clusters)
	for _, wc := range members {
		in.Clusters = append(in.Clusters, r.look(wc, in.Blind == ""))
	}
	decision := rings.Next(in)
	r.Upgrades.say(decision.Words)
	outcome := upgradeOutcome(in, decision)
	if err := r.remember(ctx, members, decision); err != nil {
		outcome.Err = err
	}
	since, why := r.View.Blind()
	switch {
	case invalid != nil:
		outcome = steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonRingsInvalid, Message: invalid.Error(), Err: outcome.Err}
	case why != nil && in.Now.Sub(since) < blindPatience && conditions.Has(obj, fleetv1.ConditionFluxUpgraded):
		return outcome, nil
	}
	return outcome, upgradeStatus(in, decision)
}

// membersOf are the clusters by their ids, without those that leave, and those whose id is another's.
func membersOf(clusters []fleetv1.WorkloadCluster) map[string]*fleetv1.WorkloadCluster {
	out := map[string]*fleetv1.WorkloadCluster{}
	for i := range clusters {
		wc := &clusters[i]
		if holder := out[wc.ID()]; wc.DeletionTimestamp.IsZero() && (holder == nil || wc.Older(holder)) {
			out[wc.ID()] = wc
		}
	}
	return out
}

// upgradeInput is what decides, but for the clusters. With rings that cannot be read nothing goes on.
func (r *Reconciler) upgradeInput(obj *fleetv1.Fleet, target string) (in rings.Input, invalid error) {
	spec := obj.Spec.Flux.Upgrade
	in = rings.Input{
		Target: target, Now: r.Clock.Now(), Timeout: cmp.Or(spec.Timeout.Duration, defaultTimeout),
		MaxConcurrent: intstr.FromInt32(defaultConcurrent),
	}
	if spec.MaxConcurrent != nil {
		in.MaxConcurrent = *spec.MaxConcurrent
	}
	if _, why := r.View.Blind(); why != nil {
		in.Blind = why.Error()
	}
	if in.Rings, invalid = ringsOf(spec); invalid != nil {
		in.Rings, _ = ringsOf(fleetv1.FluxUpgrade{})
		in.Blind = invalid.Error()
	}
	return in, invalid
}

// ringsOf are the Fleet's rings, and the one for all clusters that are in none of them.
func ringsOf(spec fleetv1.FluxUpgrade) ([]rings.Ring, error) {
	var out []rings.Ring
	for i, ring := range spec.Rings {
		selector := labels.Everything()
		if ring.ClusterSelector != nil {
			var err error
			if selector, err = metav1.LabelSelectorAsSelector(ring.ClusterSelector); err != nil {
				return nil, fmt.Errorf("spec.flux.upgrade.rings[%d] (%s): clusterSelector: %w; no cluster is upgraded until it is mended", i, ring.Name, err)
			}
		}
		out = append(out, rings.Ring{Name: ring.Name, Environments: ring.Environments, Selector: selector, Soak: ring.Soak.Duration})
	}
	last := rings.Ring{Name: ringOthers, Selector: labels.Everything()}
	if len(out) == 0 {
		last.Name = ringAll
	}
	return append(out, last), nil
}

// look is what is seen of a cluster.
func (r *Reconciler) look(wc *fleetv1.WorkloadCluster, sees bool) rings.Cluster {
	flux := wc.Status.Flux
	out := rings.Cluster{
		ID: wc.ID(), Environment: wc.Spec.Environment, Labels: wc.Labels, LeftOut: leftOut(wc),
		Installed: flux.Version, Tried: flux.AttemptedVersion, Joined: flux.AttemptedVersion != "" && flux.PreviousVersion == "",
		Failed: failureOf(wc),
	}
	if flux.AttemptedAt != nil {
		out.TriedAt = flux.AttemptedAt.Time
	}
	agent, ready := conditions.Get(wc, fleetv1.ConditionAgentConnected), conditions.Get(wc, fleetv1.ConditionFluxReady)
	health := Health{}
	if sees {
		health = r.View.Flux(wc.ID(), out.TriedAt)
	}
	out.Trouble, out.Away = health.Failure, away(wc, health, sees)
	if !health.Silent.IsZero() {
		out.Trouble = &rings.Trouble{Reason: fleetv1.ReasonAgentSilent, Message: out.Away, Since: health.Silent}
	}
	out.Since = latest(out.TriedAt, health.Calm)
	for _, condition := range []*metav1.Condition{ready, agent} {
		if condition != nil {
			out.Since = latest(out.Since, condition.LastTransitionTime.Time)
		}
	}
	on := ready != nil && ready.Status == metav1.ConditionTrue && flux.Version == flux.AttemptedVersion
	out.Healthy = on && health.Connected && out.Trouble == nil
	out.Lacks = lacking(on, ready, agent)
	return out
}

// away says why a cluster cannot be upgraded, or would not show what came of it.
func away(wc *fleetv1.WorkloadCluster, health Health, sees bool) string {
	if !health.Silent.IsZero() {
		return "no heartbeat since " + health.Silent.UTC().Format(time.RFC3339)
	}
	if c := conditions.Get(wc, meta.StalledCondition); c != nil && c.Status == metav1.ConditionTrue {
		return c.Type + ": " + c.Message
	}
	needed := []string{fleetv1.ConditionReachable}
	if sees && !health.Connected {
		needed = append(needed, fleetv1.ConditionAgentConnected)
	}
	for _, condition := range needed {
		if c := conditions.Get(wc, condition); c != nil && c.Status != metav1.ConditionTrue {
			return c.Type + ": " + c.Message
		}
	}
	if sees && !health.Connected {
		return "the fleet view does not have all of it"
	}
	return ""
}

// lacking is what a cluster says of why it is not healthy: its Flux, or else its agent.
func lacking(on bool, ready, agent *metav1.Condition) rings.Trouble {
	says := ready
	if on {
		says = agent
	}
	if says == nil {
		return rings.Trouble{Reason: fleetv1.ReasonUpgrading, Message: "nothing is known of it yet"}
	}
	return rings.Trouble{Reason: says.Reason, Message: says.Type + ": " + says.Message}
}

// leftOut says why the fleet's upgrade is none of a cluster's business.
func leftOut(wc *fleetv1.WorkloadCluster) string {
	switch {
	case wc.Spec.Mode == fleetv1.ModeObserve:
		return "observed only"
	case wc.Spec.Flux.Install == fleetv1.FluxExisting:
		return "with a Flux of its own"
	case wc.Spec.Flux.Version != "":
		return "pinned to " + wc.Spec.Flux.Version
	case wc.Spec.Suspend, conditions.IsUnknown(wc, meta.ReadyCondition) && conditions.Has(wc, meta.ReadyCondition):
		return "suspended" // or paused, which only shows in that nothing is said of Ready
	}
	return ""
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// failureOf is the failure that is remembered of a cluster; nil: there is none.
func failureOf(wc *fleetv1.WorkloadCluster) *rings.Failure {
	text, ok := wc.Annotations[fleetv1.AnnotationFluxFailed]
	if !ok {
		return nil
	}
	version, rest, _ := strings.Cut(text, " ")
	since, why, _ := strings.Cut(rest, " ")
	out := &rings.Failure{Version: version, Trouble: rings.Trouble{Reason: fleetv1.ReasonHalted, Message: cmp.Or(why, "nothing says why")}}
	if at, err := time.Parse(time.RFC3339, since); err == nil { // a time that cannot be read counts as the oldest
		out.Since = at
	}
	if reason, message, ok := strings.Cut(why, ": "); ok && !strings.Contains(reason, " ") {
		out.Reason, out.Message = reason, message
	}
	return out
}

// maxRemembered bounds what an annotation says of a failure, in bytes.
const maxRemembered = 512

func failureText(f rings.Failure) string {
	text := fmt.Sprintf("%s %s %s: %s", f.Version, f.Since.UTC().Format(time.RFC3339), f.Reason, f.Message)
	if len(text) > maxRemembered {
		text = text[:maxRemembered]
	}
	return strings.ToValidUTF8(text, "")
}

// remember writes the failures that a decision found onto their clusters, and takes off those that are over.
func (r *Reconciler) remember(ctx context.Context, clusters map[string]*fleetv1.WorkloadCluster, d rings.Decision) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(d.Failed)) {
		errs = append(errs, r.annotate(ctx, clusters[id], failureText(d.Failed[id])))
	}
	for _, id := range d.Mended {
		errs = append(errs, r.annotate(ctx, clusters[id], ""))
	}
	return errors.Join(errs...)
}

// annotate writes what is remembered of a cluster; an empty text takes it off.
func (r *Reconciler) annotate(ctx context.Context, wc *fleetv1.WorkloadCluster, text string) error {
	before := wc.DeepCopy()
	if text == "" {
		delete(wc.Annotations, fleetv1.AnnotationFluxFailed)
	} else {
		metav1.SetMetaDataAnnotation(&wc.ObjectMeta, fleetv1.AnnotationFluxFailed, text)
	}
	err := r.Patch(ctx, wc, client.MergeFrom(before), client.FieldOwner(r.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remember the failure of WorkloadCluster %s/%s: %w", wc.Namespace, wc.Name, err)
	}
	return nil
}

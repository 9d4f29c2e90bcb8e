package release

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/steps"
)

const (
	announceTimeout = 5 * time.Second
	announceRetry   = 10 * time.Second
)

// news is an event that a release's status calls for.
type news struct {
	key      string // the same as long as it is the same event
	typ      event.Type
	at       time.Time
	clusters []fleetv1.Target
}

// tell tells the fleet what has happened, and notes what was told. It returns when to try again; zero when all was said.
func (r *Reconciler) tell(ctx context.Context, p *pass) (again time.Duration, err error) {
	told := len(p.obj.Status.Announced)
	again = r.announce(ctx, p)
	if len(p.obj.Status.Announced) > told {
		err = r.write(ctx, p, nil)
	}
	return again, err
}

// announce tells the fleet what has happened to a release and was not told yet. What was told stands in the status, and an event has the
// same id each time, so that one which is told twice by an operator that ended in between counts once. It returns when to try again; zero
// when all was said.
func (r *Reconciler) announce(ctx context.Context, p *pass) time.Duration {
	for _, n := range newsOf(p.obj) {
		if slices.Contains(p.obj.Status.Announced, n.key) {
			continue
		}
		e, err := n.event(p.obj)
		if err == nil {
			err = r.say(ctx, e)
		}
		if err != nil {
			// Not an error of this release: it goes on, only nobody hears of it yet.
			log.FromContext(ctx).V(1).Info("cannot announce the release; trying again", "reason", err.Error())
			return steps.Jitter(announceRetry)
		}
		p.obj.Status.Announced = append(p.obj.Status.Announced, n.key)
	}
	return 0
}

func (r *Reconciler) say(ctx context.Context, e event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	return r.Announcer.Announce(ctx, e)
}

// newsOf are the events that a status calls for, in their order.
func newsOf(obj *fleetv1.Release) []news {
	status := &obj.Status
	if status.Phase == "" {
		return nil
	}
	out := []news{requested(obj)}
	for wave := range waves(status.Targets) {
		out = append(out, ofWave(status, wave)...)
	}
	final := map[fleetv1.Phase][]event.Type{
		fleetv1.PhaseRefused: {event.ReleaseRefused}, fleetv1.PhaseSucceeded: {event.ReleaseSucceeded}, fleetv1.PhaseFailed: {event.ReleaseFailed},
		fleetv1.PhaseRolledBack: {event.ReleaseFailed, event.ReleaseRolledBack}, fleetv1.PhaseSuperseded: {event.ReleaseSuperseded},
	}
	for _, typ := range final[status.Phase] {
		out = append(out, news{key: typ.What(), typ: typ, at: timeOf(status.FinishedAt), clusters: movedOf(status.Targets)})
	}
	return out
}

// requested is told again when an approval, or what the release waits for, changes.
func requested(obj *fleetv1.Release) news {
	sum := sha256.New()
	at := obj.CreationTimestamp.Time
	for _, approval := range obj.Spec.Approvals {
		fmt.Fprintf(sum, "%q %d ", approval.By, approval.At.Unix())
	}
	if c := conditions.Get(obj, fleetv1.ConditionAdmitted); c != nil && c.Status != metav1.ConditionTrue && !obj.Status.Phase.Final() {
		fmt.Fprintf(sum, "%q %d", c.Reason, c.LastTransitionTime.Unix())
		at = c.LastTransitionTime.Time
	}
	typ := event.ReleaseRequested
	return news{key: fmt.Sprintf("%s/%x", typ.What(), sum.Sum(nil)[:4]), typ: typ, at: at, clusters: obj.Status.Targets}
}

// waves are the targets by wave, in the order of the waves.
func waves(targets []fleetv1.Target) func(yield func([]fleetv1.Target) bool) {
	return func(yield func([]fleetv1.Target) bool) {
		for from := 0; from < len(targets); {
			to := from
			for to < len(targets) && targets[to].Wave == targets[from].Wave {
				to++
			}
			if !yield(targets[from:to]) {
				return
			}
			from = to
		}
	}
}

// ofWave are the events of one wave.
func ofWave(status *fleetv1.ReleaseStatus, wave []fleetv1.Target) []news {
	moved := movedOf(wave)
	if len(moved) == 0 {
		return nil
	}
	slices.SortStableFunc(moved, func(a, b fleetv1.Target) int { return timeOf(a.MovedAt).Compare(timeOf(b.MovedAt)) })
	name := wave[0].Wave
	out := []news{{key: event.ReleaseWaveStarted.What() + "/" + name, typ: event.ReleaseWaveStarted, at: timeOf(moved[0].MovedAt), clusters: wave}}
	for from := 0; from < len(moved); { // those that one commit moved have the same time
		to := from
		for to < len(moved) && timeOf(moved[to].MovedAt).Equal(timeOf(moved[from].MovedAt)) {
			to++
		}
		at, together := timeOf(moved[from].MovedAt), moved[from:to]
		if status.Commit != "" && !slices.ContainsFunc(together, func(t fleetv1.Target) bool { return t.State == fleetv1.TargetMoving }) {
			out = append(out, news{key: fmt.Sprintf("%s/%s/%d", event.ReleaseCommitted.What(), name, at.Unix()), typ: event.ReleaseCommitted, at: at, clusters: together})
		}
		from = to
	}
	var healthy time.Time
	for _, target := range wave {
		if target.State != fleetv1.TargetAvailable {
			return out
		}
		if at := timeOf(target.AvailableAt); at.After(healthy) {
			healthy = at
		}
	}
	return append(out, news{key: event.ReleaseWaveHealthy.What() + "/" + name, typ: event.ReleaseWaveHealthy, at: healthy, clusters: wave})
}

func movedOf(targets []fleetv1.Target) []fleetv1.Target {
	return slices.DeleteFunc(slices.Clone(targets), func(t fleetv1.Target) bool { return t.MovedAt == nil })
}

// event makes the event.
func (n news) event(obj *fleetv1.Release) (event.Event, error) {
	e, err := event.NewRelease(n.typ, payloadOf(obj, n), cmp.Or(n.at, obj.CreationTimestamp.Time))
	if err != nil {
		return event.Event{}, err
	}
	// Of the Release's UID, which nobody knows but who may read Releases: an agent cannot take the id first.
	e.ID = uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceOID, []byte(obj.UID)), []byte(n.key)).String()
	return e, nil
}

// payloadOf is the state of a release.
func payloadOf(obj *fleetv1.Release, n news) event.Release {
	spec, status := &obj.Spec, &obj.Status
	out := event.Release{
		Name: nameOf(obj), Team: obj.Namespace, Service: spec.Service, Artifact: spec.Artifact, Environment: spec.Environment,
		Intent: string(spec.Intent), From: spec.From, RequestedBy: spec.RequestedBy, RequestedAt: obj.CreationTimestamp.UTC(), Comment: spec.Message,
		Phase: string(status.Phase), Wave: status.Wave, StartedAt: timeOf(status.StartedAt), FinishedAt: timeOf(status.FinishedAt),
		Commit: status.Commit, RollbackCommit: status.RollbackCommit, Digest: status.Digest, Total: int(status.Clusters.Total),
		Source: SourceOf(status.Source),
	}
	for _, approval := range spec.Approvals {
		out.Approvals = append(out.Approvals, event.Approval{By: approval.By, At: approval.At.UTC()})
	}
	for _, target := range n.clusters {
		out.Clusters = append(out.Clusters, event.ReleaseTarget{
			Cluster: target.Cluster, Wave: target.Wave, State: string(target.State), Previous: target.Previous,
			MovedAt: timeOf(target.MovedAt), AvailableAt: timeOf(target.AvailableAt), Reason: target.Reason,
		})
		if target.State == fleetv1.TargetFailed && out.Lines == nil {
			out.Lines = target.Lines
		}
	}
	if c := conditions.Get(obj, meta.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue {
		out.Reason, out.Message = c.Reason, c.Message
	}
	return out
}

// SourceOf is where an artifact comes from, as events say it.
func SourceOf(s fleetv1.ArtifactSource) event.ArtifactSource {
	return event.ArtifactSource{Repository: s.Repository, Branch: s.Branch, Commit: s.Commit, Author: s.Author, CI: s.CI, Created: timeOf(s.Created)}
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

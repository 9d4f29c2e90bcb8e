package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Bounds of what a Target may hold.
const (
	maxMessage = 4096
	maxLines   = 30
)

// where is what Git says of a cluster's pointer, as the Release sees it.
type where int

const (
	free   where = iota // it is not the Release's, and may be moved
	locked              // it is not as Fairway writes it, and is left alone
	here                // it carries the Release and its artifact
	back                // the Release has rolled it back
	gone                // there is none, as there was none before, and a cluster had failed: it is back or lost, which look finds out
	lost                // the Release had moved it, and somebody else has moved it since
)

// target is a cluster of the Release.
type target struct {
	fleetv1.Target
	wave     int
	place    where
	since    time.Time // when it became healthy, of one that is Available
	deadline time.Time // by which it must be healthy, of one that is under way; zero: there is none
}

// wasMoved says whether a status knows that a cluster was told to run the artifact.
func wasMoved(t fleetv1.Target) bool {
	switch t.State {
	case fleetv1.TargetRollingOut, fleetv1.TargetAvailable, fleetv1.TargetUnknown, fleetv1.TargetFailed:
		return true
	}
	return false
}

// judge finds out how far a cluster is: first from its pointer, then, if that is the Release's, from its rollout.
func (p *pass) judge(wave int, id string) target {
	t := target{wave: wave, Target: fleetv1.Target{Cluster: id}}
	for _, old := range p.Release.Status.Targets {
		if old.Cluster == id {
			t.Target = old
		}
	}
	t.Wave, t.place = p.waves[wave].Name, p.where(t.Target)
	switch t.place {
	case here:
		p.rate(&t)
	case free, locked:
		t.Target = fleetv1.Target{Cluster: id, Wave: t.Wave, State: fleetv1.TargetWaiting}
	}
	return t
}

func (p *pass) where(old fleetv1.Target) where {
	at := p.Pointers[old.Cluster]
	mine := at.Release == p.name()
	switch {
	case mine && at.Artifact == p.Release.Spec.Artifact:
		return here
	case mine && at.State == Ours:
		return back
	case wasMoved(old) && at.State == Absent && old.Previous == "" && p.wasFailing():
		return gone
	case wasMoved(old):
		return lost
	case at.State == Edited || at.State == Foreign:
		return locked
	}
	return free
}

// wasFailing says whether the status knows of a failure, which it does before anything is rolled back.
func (p *pass) wasFailing() bool {
	for _, t := range p.Release.Status.Targets {
		if t.State == fleetv1.TargetFailed {
			return true
		}
	}
	return false
}

// settle notes what became of a pointer that is not the Release's any more.
func (t *target) settle(absent where, movedTo func(string) string) {
	if t.place == gone {
		t.place = absent
	}
	switch t.place {
	case back:
		if t.State != fleetv1.TargetFailed {
			t.Reason, t.Message, t.Lines = "", "", nil
		}
		t.State = fleetv1.TargetRolledBack
	case lost:
		t.fail(fleetv1.ReasonPointerMoved, movedTo(t.Cluster), nil)
	}
}

func (p *pass) movedTo(id string) string {
	at := p.Pointers[id]
	switch at.State {
	case Absent:
		return "somebody took its pointer out of the config repository"
	case Ours:
		return fmt.Sprintf("its pointer in the config repository names %s of Release %s now", at.Artifact, at.Release)
	}
	return "somebody changed its pointer in the config repository by hand"
}

// fail notes the first failure of a cluster.
func (t *target) fail(reason, message string, lines []string) {
	t.State, t.Reason, t.Message = fleetv1.TargetFailed, reason, cut(message)
	t.Lines = lines[max(0, len(lines)-maxLines):]
}

// cut cuts a message to what a Target may hold.
func cut(message string) string {
	if len(message) > maxMessage {
		return strings.ToValidUTF8(message[:maxMessage-3], "") + "..."
	}
	return message
}

// rate says how a cluster that was told to run the artifact is. What failed stays failed: what follows from it does not depend on when
// the operator is looking.
func (p *pass) rate(t *target) {
	if t.State == fleetv1.TargetFailed {
		return
	}
	r := p.Rollouts[t.Cluster]
	if p.Sight.Blind != "" {
		r.Known = false
	}
	if t.MovedAt == nil { // the status was lost: what is known may be older than the move
		t.MovedAt, t.Previous = p.mark(p.Now), p.previous(t.Cluster)
		r.Failure = nil
	}
	was := t.State
	t.Reason, t.Message, t.Lines = "", "", nil
	switch {
	case !r.Known:
		t.State, t.Reason, t.Message = fleetv1.TargetUnknown, fleetv1.ReasonClusterUnavailable, p.unknown(r)
	case r.Failure != nil:
		t.fail(r.Failure.Reason, r.Failure.String(), r.Failure.Lines)
		return
	case r.healthy(p.Release.Spec.Artifact) && r.after(t.MovedAt.Time):
		t.State, t.since = fleetv1.TargetAvailable, p.healthySince(t, r, was)
		t.AvailableAt = p.mark(t.since)
		return
	default:
		t.State, t.Message = fleetv1.TargetRollingOut, cut(r.Message)
	}
	p.hurry(t, r)
}

// mark is a time as a status keeps it.
func (p *pass) mark(t time.Time) *metav1.Time { return &metav1.Time{Time: t.Truncate(time.Second)} }

// after says whether something newer than the move is known: of an artifact that ran there before, all else looks healthy at once.
func (r Rollout) after(moved time.Time) bool { return !r.Since.Before(moved) || !r.AsOf.Before(moved) }

func (p *pass) healthySince(t *target, r Rollout, was fleetv1.TargetState) time.Time {
	switch {
	case !r.Since.IsZero():
		return latest(r.Since, t.MovedAt.Time)
	case was == fleetv1.TargetAvailable && t.AvailableAt != nil:
		return t.AvailableAt.Time
	}
	return p.Now
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (p *pass) unknown(r Rollout) string {
	if p.Sight.Blind != "" {
		return cut("no cluster can be seen: " + p.Sight.Blind)
	}
	return "nothing is known of it" + asOf(r.AsOf)
}

// hurry sets the time by which a cluster must be healthy, and fails one that is not by then. That is counted from the move; of one that
// was healthy since, from when it stopped being so, or fell silent. The time in which no cluster could be seen does not count against one
// that is not known.
func (p *pass) hurry(t *target, r Rollout) {
	from := t.MovedAt.Time
	if t.AvailableAt != nil {
		from = latest(from, t.AvailableAt.Time)
		if r.Known {
			from = latest(from, r.Since)
		} else {
			from = latest(from, r.AsOf)
		}
	}
	if !r.Known {
		if p.Sight.Blind != "" {
			return
		}
		from = latest(from, p.Sight.Since)
	}
	t.deadline = from.Add(p.timeout())
	if p.Now.Before(t.deadline) {
		return
	}
	t.fail(fleetv1.ReasonTimedOut, fmt.Sprintf("not healthy within %s (Environment %s, spec.timeout): %s",
		p.timeout(), p.Environment.Name, cmp.Or(t.Message, "rolling out")), nil)
}

// previous is what a cluster was to run before the Release, where the status was lost: what the Release before it left there. When none
// tells, it is the artifact itself, so that nothing is taken from a cluster that may have had another one.
func (p *pass) previous(cluster string) string {
	for _, r := range p.siblings(p.Release.Spec.Environment) {
		if byAge(&r, p.Release) > 0 {
			continue
		}
		for _, t := range r.Status.Targets {
			switch {
			case t.Cluster != cluster:
			case t.State == fleetv1.TargetMoving:
				return p.Release.Spec.Artifact // it may have been, or not
			case t.State == fleetv1.TargetRolledBack:
				return t.Previous
			case wasMoved(t):
				return r.Spec.Artifact
			}
		}
	}
	return p.Release.Spec.Artifact
}

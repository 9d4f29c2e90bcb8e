package view

import (
	"fmt"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"

	"github.com/fairway-dev/fairway/api/rest"
)

// skewShown is how far an agent's clock may be off before it is worth a word.
const skewShown = 5 * time.Second

// steps of onboarding, in their order; a cluster is not Ready before all of them are that it has.
var steps = []string{
	fleetv1.ConditionReachable, fleetv1.ConditionFluxReady, fleetv1.ConditionSynced, fleetv1.ConditionAgentConnected, fleetv1.ConditionConfigWritten,
}

// summary is what a list shows of a cluster's objects.
type summary struct {
	failing, moving int
	worst           *object // the first that fails, by name
	under           *object // the first that is under way
	episodes        int
	newest          *episode // that is open
	revision        string   // applied by the root Kustomization
}

const root = "Kustomization/" + fleetv1.FluxNamespace + "/" + fleetv1.RootName

func (c *cluster) summary() summary {
	s := summary{episodes: len(c.open) + len(c.carried), newest: c.newest()}
	for i := range c.objects {
		o := &c.objects[i]
		switch o.state.status() {
		case rest.Degraded:
			if s.failing++; s.worst == nil {
				s.worst = o
			}
		case rest.Progressing:
			if s.moving++; s.under == nil {
				s.under = o
			}
		}
	}
	if o := c.objects.get(root); o != nil {
		s.revision = o.origin.Value().revision
	}
	return s
}

// verdict is the traffic light of a cluster and the words beside it.
type verdict struct {
	status          rest.Status
	reason, message string
}

// judge decides a cluster's status: unknown before anything, then what fails, then what is under
// way, and Ready only when nothing is left to say.
func (c *cluster) judge(now time.Time, known bool, s summary) verdict {
	switch {
	case !known:
		return c.unknown()
	case s.newest != nil:
		return verdict{rest.Degraded, s.newest.detail.Reason, join(s.newest.subject, s.newest.detail.Message)}
	case s.worst != nil:
		said := s.worst.said.Value()
		return verdict{rest.Degraded, said.reason, join(s.worst.key, said.message)}
	case c.registration != nil && c.registration.suspended:
		return verdict{rest.Suspended, fleetv1.ReasonSuspended, "the WorkloadCluster is suspended: nothing is reconciled on the cluster"}
	}
	if c.registration != nil {
		if step, blocked := c.registration.blocked(steps); blocked {
			return verdict{rest.Progressing, step.reason, join(step.kind, step.message)}
		}
	}
	switch {
	case !c.whole:
		return verdict{rest.Progressing, fleetv1.ReasonProgress, "the agent is connected; its snapshot has not arrived yet"}
	case s.under != nil:
		said := s.under.said.Value()
		return verdict{rest.Progressing, said.reason, join(s.under.key, said.message)}
	}
	return c.doubt(now)
}

// doubt is what stands behind a cluster of which nothing bad is known: that it is well, unless
// the view may not have it all.
func (c *cluster) doubt(now time.Time) verdict {
	gaps := c.openGaps(now)
	switch skew := c.heart.skew.Round(time.Second); {
	case len(gaps) > 0:
		return verdict{rest.Progressing, fleetv1.ReasonEventsMissing, fmt.Sprintf("the view lacks events since %s; a snapshot will mend it",
			timeOf(gaps[len(gaps)-1].opened).Format(time.RFC3339))}
	case c.diverged:
		return verdict{rest.Progressing, fleetv1.ReasonViewDiverged, "the view differs from what the agent counts; a snapshot will mend it"}
	case skew.Abs() > skewShown:
		return verdict{rest.Ready, fleetv1.ReasonClockSkew, "the agent's clock is " + offBy(skew) + "; the times of what happened are, too"}
	}
	return verdict{status: rest.Ready}
}

func offBy(skew time.Duration) string {
	if skew < 0 {
		return (-skew).String() + " slow"
	}
	return skew.String() + " fast"
}

// unknown says why nothing can be said: the step that onboarding waits for, or the silence.
func (c *cluster) unknown() verdict {
	if c.heart.received != 0 {
		return verdict{rest.Unknown, fleetv1.ReasonAgentSilent, fmt.Sprintf(
			"no heartbeat since %s; everything is as of then", timeOf(c.heart.received).Format(time.RFC3339))}
	}
	if c.registration != nil {
		if step, blocked := c.registration.blocked(steps); blocked {
			return verdict{rest.Unknown, step.reason, join(step.kind, step.message)}
		}
	}
	return verdict{rest.Unknown, fleetv1.ReasonWaiting, "the agent was never heard"}
}

func join(what, message string) string {
	if message == "" {
		return what
	}
	return what + ": " + message
}

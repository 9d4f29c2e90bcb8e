package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// headline is one event on one line.
type headline struct {
	what    string // "episode opened"
	look    look
	cluster string // that it is about, when not the one that said it
	object  string
	text    string
}

// describeEvent writes an event for people; details are the last lines of a container that died.
// Of a type that it does not know it tells the envelope.
func describeEvent(e event.Event) (h headline, details []string) {
	h = headline{what: sentence(" ", string(e.Type.Kind()), e.Type.What()), look: eventLook(e.Type), object: e.Subject}
	if h.what == "" {
		h.what = string(e.Type)
	}
	var err error
	switch {
	case e.Type.Kind() == event.KindEpisode:
		h.text, details, err = episodeText(e)
	case e.Type == event.ClusterRegistered || e.Type == event.ClusterDeregistered:
		h.cluster, h.text, err = registrationText(e)
	case e.Type.Kind() == event.KindFlux:
		h.text, err = fluxText(e)
	case e.Type.Kind() == event.KindWorkload:
		h.text, err = workloadText(e)
	case e.Type.Kind() == event.KindCluster:
		h.text, err = payloadText(e, clusterText)
	case e.Type.Kind() == event.KindRelease:
		h.text, details, err = releaseText(e)
	case e.Type == event.ArtifactCreated:
		h.text, err = payloadText(e, artifactText)
	case e.Type == event.AgentStarted:
		h.text, err = payloadText(e, func(s event.Started) string { return sentence(", ", "agent "+s.Version, clusterText(s.Cluster)) })
	case e.Type == event.AgentSnapshot:
		h.text, err = payloadText(e, func(s event.Snapshot) string {
			return fmt.Sprintf("part %d of %d, %s", s.Part, s.Parts, count(len(s.Entries), "object"))
		})
	case e.Type == event.AgentGap:
		h.text, err = payloadText(e, gapText)
	}
	if err != nil {
		h.text = err.Error()
	}
	return h, details
}

func payloadText[P any](e event.Event, write func(P) string) (string, error) {
	var p P
	if err := e.Payload(&p); err != nil {
		return "", err
	}
	return write(p), nil
}

func eventLook(t event.Type) look {
	switch t {
	case event.EpisodeOpened, event.FluxFailed, event.FluxStalled, event.WorkloadDegraded, event.WorkloadFailed, event.AgentGap,
		event.ReleaseRefused, event.ReleaseFailed, event.ReleaseRolledBack:
		return bad
	case event.ReleaseSucceeded, event.ReleaseWaveHealthy, event.EpisodeResolved, event.FluxSucceeded, event.WorkloadAvailable, event.WorkloadSucceeded:
		return good
	case event.ClusterSilent, event.EpisodeChanged, event.FluxProgressing, event.WorkloadRolling, event.ReleaseWaveStarted, event.ReleaseCommitted:
		return warn
	}
	return plain
}

func episodeText(e event.Event) (text string, details []string, err error) {
	var p event.Episode
	if err := e.Payload(&p); err != nil {
		return "", nil, err
	}
	if e.Type == event.EpisodeResolved {
		lasted := ""
		if !p.OpenedAt.IsZero() {
			lasted = "after " + age(e.Time, p.OpenedAt)
		}
		return sentence(", ", p.Reason, lasted, p.ResolvedBy), nil, nil
	}
	if e.Type == event.EpisodeOpened {
		details = p.Lines
	}
	return sentence(": ", cause(p.Reason, p.Container, p.ExitCode, p.Restarts), cut(p.Message, maxText)), details, nil
}

// maxText is how much of a message an event's line has, in characters.
const maxText = 160

func fluxText(e event.Event) (string, error) {
	return payloadText(e, func(p event.Flux) string {
		revision := shortRevision(p.AppliedRevision)
		if p.AttemptedRevision != p.AppliedRevision {
			revision = sentence(" ", sentence(" -> ", revision, shortRevision(p.AttemptedRevision)))
		}
		if e.Type == event.FluxSucceeded {
			applied, took := "", ""
			if p.Inventory > 0 {
				applied = count(p.Inventory, "object")
			}
			if p.DurationMillis > 0 {
				took = "in " + (time.Duration(p.DurationMillis) * time.Millisecond).Round(100*time.Millisecond).String()
			}
			return sentence(", ", revision, applied, took)
		}
		return sentence("  ", revision, sentence(": ", p.Reason, cut(p.Message, maxText)))
	})
}

func workloadText(e event.Event) (string, error) {
	return payloadText(e, func(p event.Workload) string {
		ready := ""
		if e.Type != event.WorkloadRemoved {
			ready = fmt.Sprintf("%d/%d ready", p.Ready, p.Desired)
		}
		if e.Type == event.WorkloadSucceeded || e.Type == event.WorkloadFailed {
			ready = fmt.Sprintf("%d/%d completed", p.Available, p.Desired)
		}
		return sentence("  ", ready, e.Artifact, sentence(": ", p.Reason, cut(p.Message, maxText)))
	})
}

func clusterText(c event.Cluster) string {
	return clusterFacts(c.KubernetesVersion, c.FluxVersion, "", c.NodesReady, c.NodesTotal)
}

// registrationText names the first step that has not succeeded, which is what the others wait for.
func registrationText(e event.Event) (cluster, text string, err error) {
	var p event.Registration
	if err := e.Payload(&p); err != nil {
		return "", "", err
	}
	where := sentence(" ", p.Cloud, p.Region)
	if e.Type == event.ClusterDeregistered {
		return p.Cluster, where, nil
	}
	state := "all steps done"
	if len(p.Conditions) == 0 {
		state = ""
	}
	for _, c := range p.Conditions {
		if c.Status != "True" && c.Type != "Ready" && c.Type != "Reconciling" && c.Type != "Stalled" {
			state = sentence(": ", "waits for "+c.Type, c.Reason, cut(c.Message, maxText))
			break
		}
	}
	if p.Suspended {
		state = "suspended"
	}
	return p.Cluster, sentence(", ", p.Environment, where, state), nil
}

func gapText(g event.Gap) string {
	var dropped []string
	for _, k := range slices.Sorted(maps.Keys(g.Dropped)) {
		dropped = append(dropped, fmt.Sprintf("%d %s", g.Dropped[k], k))
	}
	return fmt.Sprintf("events lost between %s and %s: %s", g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339),
		sentence("; ", strings.Join(dropped, ", "), g.Reason))
}

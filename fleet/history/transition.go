package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// describe tells an event as a transition; what cannot be read of its payload is left out, since the
// view has refused it.
func describe(t rest.Transition, e *event.Event) rest.Transition {
	t.Kind, t.What = string(e.Type.Kind()), e.Type.What()
	t.Environment, t.Team, t.Service, t.Object = e.Environment, e.Team, e.Service, e.Subject
	t.Artifact, t.Revision = e.Artifact, e.Revision
	switch e.Type.Kind() {
	case event.KindFlux:
		describeFlux(&t, e)
	case event.KindWorkload:
		describeWorkload(&t, e)
	case event.KindEpisode:
		describeEpisode(&t, e)
	case event.KindCluster:
		describeCluster(&t, e)
	case event.KindRelease:
		describeRelease(&t, e)
	case event.KindArtifact:
		describeArtifact(&t, e)
	case event.KindAgent:
		describeAgent(&t, e)
	}
	return t
}

func describeFlux(t *rest.Transition, e *event.Event) {
	var p event.Flux
	if e.Payload(&p) == nil {
		t.Reason, t.Message = p.Reason, p.Message
		t.Revision = cmp.Or(p.AttemptedRevision, p.AppliedRevision, t.Revision)
	}
}

func describeWorkload(t *rest.Transition, e *event.Event) {
	var p event.Workload
	if e.Payload(&p) == nil {
		t.Reason = p.Reason
		t.Message = cmp.Or(p.Message, fmt.Sprintf("%d of %d ready", p.Ready, p.Desired))
	}
}

func describeEpisode(t *rest.Transition, e *event.Event) {
	var p event.Episode
	if e.Payload(&p) != nil {
		return
	}
	t.Episode, t.Reason, t.Message, t.Container, t.ExitCode = p.ID, p.Reason, p.Message, p.Container, p.ExitCode
	switch e.Type {
	case event.EpisodeOpened:
		t.Lines = p.Lines
	case event.EpisodeResolved:
		t.Message = p.ResolvedBy
		if !p.OpenedAt.IsZero() {
			t.Message = strings.TrimPrefix(fmt.Sprintf("%s, after %s", p.ResolvedBy, e.Time.Sub(p.OpenedAt).Round(time.Second)), ", ")
		}
	}
}

func describeCluster(t *rest.Transition, e *event.Event) {
	switch e.Type {
	case event.ClusterRegistered, event.ClusterDeregistered:
		var p event.Registration
		if e.Payload(&p) == nil {
			t.Environment = p.Environment
			t.Message = strings.Join(slices.DeleteFunc([]string{p.Cloud, p.Region}, func(s string) bool { return s == "" }), " ")
		}
		return
	}
	var p event.Cluster
	if e.Payload(&p) == nil {
		t.Message = clusterText(p)
	}
}

func clusterText(p event.Cluster) string {
	var parts []string
	if p.KubernetesVersion != "" {
		parts = append(parts, "Kubernetes "+p.KubernetesVersion)
	}
	if p.FluxVersion != "" {
		parts = append(parts, "Flux "+p.FluxVersion)
	}
	return strings.Join(append(parts, fmt.Sprintf("%d of %d nodes ready", p.NodesReady, p.NodesTotal)), ", ")
}

func describeAgent(t *rest.Transition, e *event.Event) {
	switch e.Type {
	case event.AgentStarted:
		var p event.Started
		if e.Payload(&p) == nil {
			t.Message = "agent " + p.Version
		}
	case event.AgentGap:
		var p event.Gap
		if e.Payload(&p) == nil {
			t.Reason, t.Message = p.Reason, gapText(p)
		}
	}
}

func gapText(p event.Gap) string {
	var dropped []string
	for _, kind := range slices.Sorted(maps.Keys(p.Dropped)) {
		dropped = append(dropped, fmt.Sprintf("%d %s", p.Dropped[kind], kind))
	}
	return fmt.Sprintf("events lost between %s and %s: %s", p.From.UTC().Format(time.RFC3339), p.To.UTC().Format(time.RFC3339), strings.Join(dropped, ", "))
}

package observe

import (
	"cmp"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/ownership"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// Options of an Observer. The zero value of every field has a default.
type Options struct {
	Cluster  string           // id, part of every episode's id
	Labels   Labels           // where teams, services and artifacts are written, before the usual labels
	Platform Platform         // what is the platform's own
	Default  Ownership        // of what carries no label
	Redact   *redact.Redactor // nil: the built-in rules
	Timing   Timing
}

// Platform is what the cluster's own software belongs to: Flux, the agent, what Kubernetes itself runs.
// It is not inherited: a Flux object in one of the namespaces makes nothing elsewhere the platform's.
type Platform struct {
	Team       string   // of what carries no label in Namespaces; empty: there is none
	Namespaces []string // none: nothing is the platform's
}

// Timing holds how long things may last before they count. Zero fields take the defaults.
type Timing struct {
	Stable        time.Duration // ready for so long: recovered. 60 s
	Unschedulable time.Duration // a pod that no node takes. 30 s
	NotReady      time.Duration // a running pod that is not ready. 2 min
	NotStarted    time.Duration // a scheduled pod none of whose containers starts. 5 min
	Init          time.Duration // an init container that runs and runs. 10 min
	CrashWindow   time.Duration // two crashes within it are one failure. 10 min
	Source        time.Duration // a Flux object whose source is not there. 1 min
	Dependency    time.Duration // a Flux object that waits for another. 5 min
	Repeat        time.Duration // between two events that only refine the last. 1 min
}

func (o Options) withDefaults() Options {
	o.Labels = o.Labels.With(usualLabels)
	t := &o.Timing
	t.Stable = cmp.Or(t.Stable, time.Minute)
	t.Unschedulable = cmp.Or(t.Unschedulable, 30*time.Second)
	t.NotReady = cmp.Or(t.NotReady, 2*time.Minute)
	t.NotStarted = cmp.Or(t.NotStarted, 5*time.Minute)
	t.Init = cmp.Or(t.Init, 10*time.Minute)
	t.CrashWindow = cmp.Or(t.CrashWindow, 10*time.Minute)
	t.Source = cmp.Or(t.Source, time.Minute)
	t.Dependency = cmp.Or(t.Dependency, 5*time.Minute)
	t.Repeat = cmp.Or(t.Repeat, time.Minute)
	return o
}

// Labels names the labels, or annotations, that say whom an object belongs to.
type Labels = ownership.Labels

// Labels of Lunar's release manager and of Kubernetes' own recommendations.
const (
	labelAppName       = "app.kubernetes.io/name"
	labelPartOf        = "app.kubernetes.io/part-of"
	labelVersion       = "app.kubernetes.io/version"
	annotationRunbook  = "fleet.fairway.dev/runbook"
	labelLunarSquad    = "squad"
	labelLunarSquadOrg = "lunarway.com/squad"
	labelLunarService  = "lunarway.com/service"
	labelLunarArtifact = "lunarway.com/artifact-id"
)

// usualLabels are understood on every cluster, after those that were asked for.
var usualLabels = Labels{
	Team:     []string{fleetv1.LabelTeam, labelLunarSquad, labelLunarSquadOrg},
	Service:  []string{fleetv1.LabelService, labelLunarService},
	Artifact: []string{fleetv1.LabelArtifact, labelLunarArtifact},
}

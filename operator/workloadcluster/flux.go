package workloadcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/patch"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Versions finds versions of Flux.
type Versions interface {
	Resolve(ctx context.Context, artifact, versionRange string) (flux.Version, error)
}

// Manifests gets the objects of a version of Flux.
type Manifests interface {
	Manifests(ctx context.Context, artifact string, v flux.Version, o flux.Options) ([]*unstructured.Unstructured, error)
}

// Names of the sets of objects that are applied on a cluster.
const (
	setFlux  = "flux"
	setSync  = "sync"
	setAgent = "agent"
)

// fluxSeen is what decides what is done about a cluster's Flux.
type fluxSeen struct {
	mode      fleetv1.Mode
	install   fleetv1.FluxInstall
	fleet     bool // there is one
	installed flux.Installed
}

// installFlux takes the step FluxReady.
func (r *Reconciler) installFlux(ctx context.Context, p *pass) steps.Outcome {
	installed, err := flux.Detect(ctx, p.cluster.Client)
	if err != nil {
		return clusterFailed(err)
	}
	p.flux = &fleetv1.FluxStatus{Version: installed.Version}
	if installed.Managed {
		p.flux.Digest = p.obj.Status.Flux.Digest
		r.recall(p, installed)
	}
	seen := fluxSeen{mode: p.obj.Spec.Mode, install: p.obj.Spec.Flux.Install, fleet: p.fleet != nil, installed: installed}
	outcome, todo := decideFlux(seen)
	if todo == leave {
		return outcome
	}
	wanted, note, known := r.wantedFlux(p, installed)
	if !known {
		return undecided()
	}
	version, err := r.resolve(ctx, p, wanted)
	if err != nil {
		return fluxMissing(installed, err)
	}
	// Known before it is done: whoever has got a version is part of its upgrade, whatever becomes of it.
	if err := r.noteAttempt(ctx, p, version.Tag, installed); err != nil {
		return steps.Internal(err)
	}
	objs, err := r.manifests(ctx, p, version)
	if err != nil {
		return fluxMissing(installed, err)
	}
	if todo == takeOver {
		if outcome, clash := r.clash(ctx, p, objs); clash {
			return outcome
		}
	}
	how := p.applier.Apply
	if seen.install == fleetv1.FluxTakeOver { // also afterwards, so that one that broke off is ended
		how = p.applier.TakeOver
	}
	pending, err := r.applyBy(ctx, p, how, setFlux, objs)
	if err == nil {
		p.flux.Version, p.flux.Digest = version.Tag, version.Digest
	}
	return fluxApplied(version.Tag, note, pending, err).Again(r.pollUnlessDone(p, fleetv1.ConditionFluxReady, len(pending)))
}

// fluxWork is what is done about a cluster's Flux.
type fluxWork int

const (
	leave    fluxWork = iota // nothing
	apply                    // make it what it should be
	takeOver                 // the same to one that is not Fairway's, unless something clashes
)

// decideFlux says what is done about Flux, and what to report when it is nothing.
func decideFlux(seen fluxSeen) (steps.Outcome, fluxWork) {
	foreign := seen.installed.Found && !seen.installed.Managed
	switch {
	case seen.mode == fleetv1.ModeObserve:
		return steps.Outcome{State: steps.Skipped, Reason: fleetv1.ReasonObserveOnly, Message: observing(seen.installed)}, leave
	case seen.install == fleetv1.FluxExisting && seen.installed.Found:
		return steps.Outcome{State: steps.Done, Reason: fleetv1.ReasonFluxExisting,
			Message: "Flux " + cmp.Or(seen.installed.Version, "of an unknown version") + " is there and is left alone"}, leave
	case seen.install == fleetv1.FluxExisting:
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonFluxNotFound, After: steps.Jitter(watchPoll),
			Message: "spec.flux.install is Existing, and there is no Flux on the cluster; install it, or set Managed"}, leave
	case foreign && seen.install != fleetv1.FluxTakeOver: // nothing less is consent
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonFluxConflict, After: steps.Jitter(watchPoll),
			Message: "there is a Flux on the cluster that Fairway did not install; set spec.flux.install to Existing to use it, or to TakeOver to make it Fairway's"}, leave
	case !seen.fleet:
		return noFleet(), leave
	case foreign:
		return steps.Outcome{}, takeOver
	}
	return steps.Outcome{}, apply
}

// clash says what stands in the way of taking over the cluster's Flux: what the survey would find, and what
// the API server refuses. Nothing is written.
func (r *Reconciler) clash(ctx context.Context, p *pass, objs []*unstructured.Unstructured) (steps.Outcome, bool) {
	connection := survey.Connection{Config: p.cluster.Config, HTTP: p.cluster.HTTP}
	plan := survey.Plan{TakeOver: true, Sets: []survey.Set{{Name: survey.SetFlux, Objects: objs}}}
	seen, err := survey.LookAtFlux(ctx, connection, plan)
	if err != nil {
		return clusterFailed(err), true
	}
	if outcome, clash := takeOverClash(survey.TakeOverOf(seen), nil); clash {
		return outcome, true
	}
	refusals, err := p.applier.Refusals(ctx, setFlux, objs)
	if err != nil {
		return clusterFailed(err), true
	}
	return takeOverClash(nil, refusals)
}

// takeOverClash is the outcome when a Flux cannot be taken over.
func takeOverClash(found *survey.TakeOver, refusals []string) (steps.Outcome, bool) {
	var texts []string
	if found != nil {
		texts = conflictTexts(found.Conflicts)
	}
	for _, refusal := range refusals {
		texts = append(texts, "the cluster refuses "+refusal)
	}
	if len(texts) == 0 {
		return steps.Outcome{}, false
	}
	return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonTakeOverClash, After: steps.Jitter(watchPoll),
		Message: "the cluster's Flux is not taken over, and nothing of it was touched: " + few(texts)}, true
}

func observing(installed flux.Installed) string {
	if installed.Found {
		return "spec.mode is Observe: Flux " + cmp.Or(installed.Version, "of an unknown version") + " is there and is left alone"
	}
	return "spec.mode is Observe: nothing is installed but the agent"
}

func noFleet() steps.Outcome {
	return steps.Outcome{State: steps.Waiting, Reason: fleetv1.ReasonNoFleet, After: steps.Jitter(watchPoll),
		Message: `there is no Fleet "` + fleetv1.FleetName + `"; create it`}
}

// wantedFlux is the version, or the range, that the cluster should have now, and what is to be said of it.
// known is false while nobody has decided for a cluster that has no Flux.
func (r *Reconciler) wantedFlux(p *pass, installed flux.Installed) (wanted, note string, known bool) {
	if pin := p.obj.Spec.Flux.Version; pin != "" {
		return pin, "", true
	}
	word, known := r.Upgrades.Word(p.obj.ID())
	wanted = word.For(p.obj.Status.Flux.AttemptedVersion, installed.Version)
	if wanted != word.Target {
		note = word.Note
	}
	return cmp.Or(wanted, p.fleet.Spec.Flux.Version), note, known || wanted != ""
}

// recall takes the version that Fairway installed, and that the status says nothing of, for the one that was
// tried last: the status was lost, or is from before it said so.
func (r *Reconciler) recall(p *pass, installed flux.Installed) {
	if status := &p.obj.Status.Flux; status.AttemptedVersion == "" && installed.Version != "" {
		status.AttemptedVersion, status.PreviousVersion = installed.Version, installed.Version
		status.AttemptedAt = &metav1.Time{Time: r.Clock.Now()}
	}
}

func undecided() steps.Outcome {
	return steps.Outcome{State: steps.Waiting, Reason: fleetv1.ReasonNoFleet, After: steps.Jitter(keysPoll),
		Message: "the Fleet has not said yet which version of Flux the cluster gets"}
}

// noteAttempt writes which version is about to be put on the cluster, when it is another one than before.
func (r *Reconciler) noteAttempt(ctx context.Context, p *pass, version string, installed flux.Installed) error {
	status := &p.obj.Status.Flux
	if status.AttemptedVersion == version {
		return nil
	}
	status.AttemptedVersion, status.PreviousVersion = version, ""
	if installed.Found {
		status.PreviousVersion = cmp.Or(installed.Version, "unknown")
	}
	status.AttemptedAt = &metav1.Time{Time: r.Clock.Now()}
	if err := p.patcher.Patch(ctx, p.obj, patch.WithFieldOwner(r.FieldOwner)); err != nil {
		return fmt.Errorf("note that Flux %s is put on the cluster: %w", version, err)
	}
	return nil
}

// resolve finds the newest version in a range.
func (r *Reconciler) resolve(ctx context.Context, p *pass, wanted string) (flux.Version, error) {
	artifact := p.fleet.Spec.Flux.Artifact
	requested, _ := meta.ReconcileAnnotationValue(p.obj.Annotations)
	key := strings.Join([]string{artifact, wanted, requested}, "\n")
	return r.versions.Get(ctx, key, versionLife, func(ctx context.Context) (flux.Version, error) {
		return r.Catalog.Resolve(ctx, artifact, wanted)
	})
}

// manifests are the objects of a version.
func (r *Reconciler) manifests(ctx context.Context, p *pass, version flux.Version) ([]*unstructured.Unstructured, error) {
	spec := p.fleet.Spec.Flux
	options := flux.Options{Registry: spec.Registry, TakenOver: p.obj.Spec.Flux.Install == fleetv1.FluxTakeOver}
	for _, component := range spec.Components {
		options.Components = append(options.Components, string(component))
	}
	return r.Catalog.Manifests(ctx, spec.Artifact, version, options)
}

// fluxMissing is the outcome when the distribution cannot be had. A Flux that runs goes on running.
func fluxMissing(installed flux.Installed, err error) steps.Outcome {
	if installed.Managed {
		return steps.Succeeded("Flux %s runs; whether it is the newest cannot be told: %v",
			cmp.Or(installed.Version, "of an unknown version"), err).Again(steps.Jitter(watchPoll))
	}
	reason := fleetv1.ReasonArtifactFailed
	if errors.Is(err, flux.ErrVersionNotFound) || errors.Is(err, flux.ErrRange) {
		reason = fleetv1.ReasonVersionNotFound
	}
	return steps.Outcome{State: steps.Failing, Reason: reason, Err: err,
		Message: err.Error() + "; check spec.flux of the Fleet and of this WorkloadCluster"}
}

// fluxApplied is the outcome of applying a version; note says why it is not another one.
func fluxApplied(version, note string, pending []string, err error) steps.Outcome {
	switch {
	case err != nil:
		return applyFailed(err)
	case len(pending) > 0:
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonRollingOut,
			Message: fmt.Sprintf("Flux %s is applied; not ready yet: %s", version, few(pending))}
	}
	if note != "" {
		version += "; " + note
	}
	return steps.Succeeded("Flux %s", version)
}

// few joins the first few of many texts.
func few(texts []string) string {
	const most = 4
	if len(texts) <= most {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), len(texts)-most)
}

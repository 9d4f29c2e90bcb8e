package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/steps"
)

// ConfigRepository is the config repository, as far as this package needs it.
type ConfigRepository interface {
	Snapshot(ctx context.Context, fleet *fleetv1.Fleet) (*gitrepo.Snapshot, error)
	Uses(ctx context.Context, in *gitrepo.Snapshot, folder string) ([]layers.Use, error)
	Submit(ctx context.Context, fleet *fleetv1.Fleet, change gitrepo.Change) (revision string, err error)
}

// errUnsettled: what the branch has by now keeps the file from being written; the decision says why.
var errUnsettled = errors.New("the repository has changed: nothing can be written any more")

// The repository is fetched and written to for all clusters, and goes on without the pass that asked: a Git server
// that hangs keeps no worker for longer than this, and no cluster from its other steps.
const (
	fetchPatience = 3 * time.Second
	pushPatience  = 15 * time.Second
)

// errSlow: the repository has not answered while a pass waited for it.
var errSlow = errors.New("the config repository has not answered yet; it is waited for without this pass")

// within asks, and waits for the answer no longer than patience. An end of ctx itself stays what it is.
func within[T any](ctx context.Context, patience time.Duration, ask func(context.Context) (T, error)) (T, error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := ask(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		err = errSlow
	}
	return answer, err
}

// layered says whether the Fleet has layers, so that Ready minds them.
func layered(fleet *fleetv1.Fleet) bool { return fleet != nil && len(fleet.Spec.Layers) > 0 }

// configure takes the step ConfigWritten; nil when there is nothing to be looked at: the repository is
// then not fetched.
func (r *Reconciler) configure(ctx context.Context, p *pass) *steps.Outcome {
	fleet := p.fleet
	if !layered(fleet) && (fleet == nil || fleet.Spec.ConfigRepository.WriteSecretRef == nil) {
		return nil
	}
	if p.obj.Spec.Mode == fleetv1.ModeObserve {
		return &steps.Outcome{State: steps.Skipped, Reason: fleetv1.ReasonObserveOnly,
			Message: "spec.mode is Observe: the cluster does not follow the config repository"}
	}
	snapshot, err := within(ctx, fetchPatience, func(ctx context.Context) (*gitrepo.Snapshot, error) {
		return r.Config.Snapshot(ctx, fleet)
	})
	if err != nil {
		return new(configFailed(err).Again(steps.Jitter(secretPoll)))
	}
	wanted := configWanted(p)
	scan := func(folder string) ([]layers.Use, error) { return r.Config.Uses(ctx, snapshot, folder) }
	decision, err := wanted.decide(snapshot, scan)
	switch {
	case err != nil:
		return new(configFailed(err).Again(steps.Jitter(fleet.Spec.ConfigRepository.Interval.Duration)))
	case !layered(fleet) && decision.State == layers.Absent:
		return nil
	}
	outcome := configOutcome(decision, snapshot.Revision())
	if decision.Differs && outcome.State == steps.Done {
		change := gitrepo.Change{Message: configMessage(p.obj, decision.Plan), Edit: wanted.edit(snapshot, scan, &decision)}
		revision, err := within(ctx, pushPatience, func(ctx context.Context) (string, error) {
			return r.Config.Submit(ctx, fleet, change)
		})
		outcome = configWritten(&decision, revision, err)
	}
	if outcome.State != steps.Done && outcome.After == 0 {
		outcome.After = steps.Jitter(fleet.Spec.ConfigRepository.Interval.Duration)
	}
	return &outcome
}

// wantedConfig is what decides about a cluster's file. It shares nothing with the objects that it is of:
// a change may be tried when the pass that submitted it is over.
type wantedConfig struct {
	cluster layers.Cluster
	layers  []fleetv1.Layer
	values  map[string]string
}

func configWanted(p *pass) wantedConfig {
	return wantedConfig{
		cluster: layers.Cluster{ID: p.obj.ID(), Cloud: p.cloud.Provider, Labels: maps.Clone(p.obj.Labels)},
		layers:  p.fleet.DeepCopy().Spec.Layers,
		values:  layers.Values(p.obj, p.cloud),
	}
}

func (w wantedConfig) decide(files fs.FS, scan layers.Scan) (layers.Decision, error) {
	return layers.Decide(w.cluster, w.layers, w.values, files, scan)
}

// edit is the change that writes the cluster's file. It is decided anew on what the branch has then, into
// last; variables are looked for anew when what the cluster applies is another than in seen.
func (w wantedConfig) edit(seen *gitrepo.Snapshot, scan layers.Scan, last *layers.Decision) func(fs.FS) ([]gitrepo.Edit, error) {
	return func(files fs.FS) ([]gitrepo.Edit, error) {
		again := scan
		now, ok := files.(*gitrepo.Snapshot)
		if !ok || !now.Same(seen, "platform") || !now.Same(seen, layers.ClusterFolder(w.cluster.ID)) {
			again = func(folder string) ([]layers.Use, error) { return layers.Uses(files, folder) }
		}
		decision, err := w.decide(files, again)
		if err != nil {
			return nil, err
		}
		*last = decision
		if configOutcome(decision, "").State != steps.Done {
			return nil, errUnsettled
		}
		if !decision.Differs {
			return nil, nil
		}
		return []gitrepo.Edit{{Path: layers.Path(w.cluster.ID), Content: decision.Content}}, nil
	}
}

// configWritten is the outcome of what was submitted, by its last decision.
func configWritten(last *layers.Decision, revision string, err error) steps.Outcome {
	switch {
	case errors.Is(err, errUnsettled):
		return configOutcome(*last, "the newest commit")
	case err != nil:
		return configFailed(err)
	}
	last.Differs, last.State = false, layers.Ours
	return configOutcome(*last, revision)
}

// configMessage is the commit's message.
func configMessage(obj *fleetv1.WorkloadCluster, plan layers.Plan) gitrepo.Message {
	names := strings.Join(plan.Names(), ", ")
	if names == "" {
		names = "none"
	}
	return gitrepo.Message{
		Subject: "layers of " + obj.ID() + ": " + names,
		Trailers: []gitrepo.Trailer{
			{Key: "Cluster", Value: obj.ID()}, {Key: "Environment", Value: obj.Spec.Environment}, {Key: "Layers", Value: names},
		},
	}
}

// configOutcome is what a decision comes to: Done when nothing stands in the way of the file.
func configOutcome(d layers.Decision, revision string) steps.Outcome {
	path := layers.Path(d.Plan.ClusterID)
	blocked, problems := steps.Outcome{State: steps.Blocked}, d.Problems()
	switch {
	case len(d.Missing) > 0:
		blocked.Reason = fleetv1.ReasonValuesMissing
		blocked.Message = fmt.Sprintf("at %s: %s; give a value in spec.values or a default, ${NAME:=default}; nothing is written until then",
			revision, few(problems))
		return blocked
	case len(problems) > 0:
		blocked.Reason, blocked.Message = fleetv1.ReasonNotIncluded, problems[0]
		if d.State == layers.Edited || d.State == layers.Foreign {
			blocked.Reason = fleetv1.ReasonEditedByHand
		}
		return blocked
	case len(d.Plan.Layers) == 0:
		return steps.Succeeded("no layer is for this cluster")
	}
	return steps.Succeeded("%s has %s; no variable is missing", path, strings.Join(d.Plan.Names(), ", "))
}

// configFailed is the outcome of a repository that cannot be read or written, or does not have what the
// layers want.
func configFailed(err error) steps.Outcome {
	outcome := steps.Outcome{State: steps.Failing, Message: err.Error()}
	switch {
	case errors.Is(err, layers.ErrFolder):
		outcome.State, outcome.Reason = steps.Blocked, fleetv1.ReasonLayerNotFound
		outcome.Message += "; push the folder, or take the layer from the Fleet's spec.layers"
	case errors.Is(err, layers.ErrInvalid):
		outcome.State, outcome.Reason = steps.Blocked, fleetv1.ReasonLayersInvalid
		outcome.Message += "; mend the Fleet's spec.layers"
	case errors.Is(err, configrepo.ErrNotWritable):
		outcome.State, outcome.Reason = steps.Blocked, fleetv1.ReasonConfigNotWritten
		outcome.Message += ": the cluster's file is not as the Fleet's layers want it; set it, or commit what `fairway check layers --write` writes"
	case errors.Is(err, configrepo.ErrNoSecret):
		outcome.Reason = fleetv1.ReasonSecretMissing
	case errors.Is(err, gitrepo.ErrRefused):
		outcome.Reason = fleetv1.ReasonRepositoryRefuses
	case errors.Is(err, errSlow), errors.Is(err, gitrepo.ErrAuth), errors.Is(err, gitrepo.ErrNotFound), errors.Is(err, gitrepo.ErrBranch),
		errors.Is(err, gitrepo.ErrUnreachable), errors.Is(err, gitrepo.ErrTooLarge):
		outcome.Reason = fleetv1.ReasonRepositoryUnreadable
	default:
		return steps.Internal(err)
	}
	return outcome
}

package flux

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/clusterreader"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels on every object that an Applier makes. An object that lost them is nobody's to delete.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by" // "fairway"
	LabelSet       = "fleet.fairway.dev/set"        // the name given to Apply
)

// owner is the field manager, and the value of LabelManagedBy.
const owner = "fairway"

// How long one Apply waits for what it has just defined, and how often it looks.
const (
	definitionTimeout  = 30 * time.Second
	definitionInterval = 250 * time.Millisecond
)

// concurrency of dry runs: enough to hide a far cluster's latency, few for its API server.
const concurrency = 4

// Result is what one Apply did.
type Result struct {
	Changed int      // objects created or changed
	Pruned  int      // objects deleted because they left the set
	Pending []string // objects not ready yet: "Deployment/flux-system/source-controller: Replicas: 0/1"
	Kept    []string // objects that left the set and stay, since deleting them would delete others' data
}

// Settled says whether everything was as it should be, so that there is nothing to come back for.
func (r Result) Settled() bool {
	return r.Changed == 0 && r.Pruned == 0 && len(r.Pending) == 0 && len(r.Kept) == 0
}

// Applier applies sets of objects on one cluster by server-side apply, and remembers each set in an
// inventory on that cluster. Sets are known by name; an object belongs to the last set that applied
// it. It is safe for concurrent use with different names.
type Applier struct {
	client  client.Client
	manager *ssa.ResourceManager
}

// NewApplier makes the applier of the cluster that c talks to. c's RESTMapper must learn of new
// kinds by itself, as controller-runtime's does.
func NewApplier(c client.Client) *Applier {
	poller := polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{
		ClusterReaderFactory: engine.ClusterReaderFactoryFunc(clusterreader.NewDirectClusterReader),
	})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: owner, Group: "fleet.fairway.dev"})
	manager.SetConcurrency(concurrency)
	return &Applier{client: c, manager: manager}
}

// Apply makes the cluster's objects those of the set: namespaces first, then definitions (waiting
// until new ones are served), then the rest; then it deletes what left the set. Objects that are as
// they should be are not written to, and neither is the inventory. It does not wait for readiness:
// Result.Pending says what is still missing.
//
// CustomResourceDefinitions that left the set are deleted only when nothing of their kind is left,
// Namespaces never.
func (a *Applier) Apply(ctx context.Context, name string, objs []*unstructured.Unstructured) (Result, error) {
	set := stage(label(name, objs))
	var result Result
	if err := a.applyStage(ctx, set.namespaces, &result); err != nil {
		return result, fmt.Errorf("apply namespaces of %s: %w", name, err)
	}
	inv, err := a.readInventory(ctx, name, homeOf(objs))
	if err != nil {
		return result, err
	}
	stale := inv.without(objs)
	// Written before the objects are, so that an apply that breaks off leaves nothing unknown.
	if err := a.writeInventory(ctx, inv.with(objs)); err != nil {
		return result, err
	}
	if err := a.applyDefinitions(ctx, set.definitions, &result); err != nil {
		return result, fmt.Errorf("apply definitions of %s: %w", name, err)
	}
	if err := a.applyRest(ctx, set.rest, &result); err != nil {
		return result, fmt.Errorf("apply objects of %s: %w", name, err)
	}
	kept, err := a.prune(ctx, name, stale, &result)
	if err != nil {
		return result, fmt.Errorf("prune %s: %w", name, err)
	}
	if err := a.writeInventory(ctx, inv.exactly(objs, kept)); err != nil {
		return result, err
	}
	result.Pending, err = a.pending(ctx, objs)
	return result, err
}

// stages are the objects of a set, by when they can be applied.
type stages struct{ namespaces, definitions, rest []*unstructured.Unstructured }

func stage(objs []*unstructured.Unstructured) stages {
	var s stages
	for _, obj := range objs {
		switch {
		case ssautil.IsNamespace(obj):
			s.namespaces = append(s.namespaces, obj)
		case ssautil.IsClusterDefinition(obj):
			s.definitions = append(s.definitions, obj)
		default:
			s.rest = append(s.rest, obj)
		}
	}
	return s
}

// withOwnMetadata is an object with metadata that can be changed; the rest is that of the given one, and stays as it is. The definitions
// of Flux are megabytes, and as many copies as clusters are worked on at a time would be most of the operator's memory.
func withOwnMetadata(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: maps.Clone(obj.Object)}
	if metadata, ok := obj.Object["metadata"]; ok {
		out.Object["metadata"] = runtime.DeepCopyJSONValue(metadata)
	}
	return out
}

// label makes copies of a set's objects that carry its labels. They share with the objects what Apply only reads.
func label(name string, objs []*unstructured.Unstructured) []*unstructured.Unstructured {
	out := make([]*unstructured.Unstructured, len(objs))
	for i, obj := range objs {
		out[i] = withOwnMetadata(obj)
		labels := map[string]string{}
		maps.Copy(labels, obj.GetLabels())
		maps.Copy(labels, ownLabels(name))
		out[i].SetLabels(labels)
	}
	return out
}

func ownLabels(name string) map[string]string {
	return map[string]string{LabelManagedBy: owner, LabelSet: name}
}

func (a *Applier) applyStage(ctx context.Context, objs []*unstructured.Unstructured, result *Result) error {
	_, err := a.applyAll(ctx, objs, result)
	return err
}

// applyAll applies objects and says which of them changed.
func (a *Applier) applyAll(ctx context.Context, objs []*unstructured.Unstructured, result *Result) (object.ObjMetadataSet, error) {
	changes, err := a.manager.ApplyAll(ctx, objs, ssa.DefaultApplyOptions())
	if err != nil {
		return nil, err
	}
	var changed object.ObjMetadataSet
	for _, entry := range changes.Entries {
		if entry.Action == ssa.CreatedAction || entry.Action == ssa.ConfiguredAction {
			changed = append(changed, entry.ObjMetadata)
		}
	}
	result.Changed += len(changed)
	return changed, nil
}

func (a *Applier) applyDefinitions(ctx context.Context, objs []*unstructured.Unstructured, result *Result) error {
	changed, err := a.applyAll(ctx, objs, result)
	if err != nil || len(changed) == 0 {
		return err
	}
	err = a.manager.WaitForSetWithContext(ctx, changed, ssa.WaitOptions{
		Interval: definitionInterval, Timeout: definitionTimeout, FailFast: true,
	})
	if err != nil {
		return fmt.Errorf("wait for definitions: %w", err)
	}
	return nil
}

// notServed says whether an error is that of a kind which the API server does not serve: the client knows no such kind, or there is nothing
// at its path.
func notServed(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// applyRest tries again while a kind is not served: a definition that is established may take
// another moment until every API server knows it.
func (a *Applier) applyRest(ctx context.Context, objs []*unstructured.Unstructured, result *Result) error {
	if result.Changed == 0 {
		return a.applyStage(ctx, objs, result)
	}
	var last error
	err := wait.PollUntilContextTimeout(ctx, definitionInterval, definitionTimeout, true, func(ctx context.Context) (bool, error) {
		last = a.applyStage(ctx, objs, result)
		if !notServed(last) {
			return true, last
		}
		meta.MaybeResetRESTMapper(a.client.RESTMapper())
		return false, nil
	})
	if wait.Interrupted(err) && last != nil {
		return last
	}
	return err
}

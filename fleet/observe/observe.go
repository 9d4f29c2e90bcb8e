package observe

import (
	"maps"
	"slices"
	"strings"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fairway-dev/fairway/api/event"
)

// Object is a typed Kubernetes object. The Observer keeps no reference to what it is given, except
// to Pods, which it holds until they are gone: they must not be changed afterwards.
type Object interface {
	metav1.Object
	runtime.Object
}

// Draft is an event without its envelope: the sender adds id, sequence and the cluster's own
// attributes.
type Draft struct {
	Type   event.Type
	Object event.Object // zero: about the cluster
	Time   time.Time    // when it happened, as the object itself says where it does
	Ownership
	Revision string
	Data     any // the payload of Type, by value

	// Logs is set on episodes of a container that died: whose lines the sender should fetch and
	// hand to WithLogs before it sends the draft.
	Logs *LogRef
}

// LogRef names one instance of a container.
type LogRef struct {
	Namespace, Pod, Container string
	Previous                  bool // the instance before the current one
}

// Result is what a call to the Observer found.
type Result struct {
	Drafts []Draft // in the order in which they have to be sent
	// RecheckAfter is when Recheck has to be called at the latest, since a decision waits for time
	// to pass. 0: no decision waits.
	RecheckAfter time.Duration
}

// Observer remembers what was said about a cluster. It is not safe for concurrent use.
type Observer struct {
	opts     Options
	flux     map[event.Object]*fluxRecord
	work     map[event.Object]*workRecord
	pods     map[event.Object]*podRecord
	podsOf   map[event.Object]map[event.Object]bool // top owner -> its pods
	jobsOf   map[event.Object]map[event.Object]bool // CronJob -> its Jobs
	owned    map[event.Object]map[event.Object]bool // Flux object -> what it applied
	episodes map[event.Object][]*episode            // top owner -> its open episodes, oldest first
	removed  map[event.Object]time.Time             // workloads that are gone, while their pods may linger
	due      map[event.Object]time.Time             // what to look at again, and when
	nodes    map[string]bool                        // node -> ready
	cluster  event.Cluster
	seen     time.Time // since when the cluster is as it is

	restoring bool // between Restore and Restored

	out []Draft // of the call under way
}

// New makes an Observer that has seen nothing.
func New(o Options) *Observer {
	return &Observer{
		opts:     o.withDefaults(),
		flux:     map[event.Object]*fluxRecord{},
		work:     map[event.Object]*workRecord{},
		pods:     map[event.Object]*podRecord{},
		podsOf:   map[event.Object]map[event.Object]bool{},
		jobsOf:   map[event.Object]map[event.Object]bool{},
		owned:    map[event.Object]map[event.Object]bool{},
		episodes: map[event.Object][]*episode{},
		removed:  map[event.Object]time.Time{},
		due:      map[event.Object]time.Time{},
		nodes:    map[string]bool{},
	}
}

// Kind is the kind of a typed object that the Observer understands, or "". Decoded objects do not
// carry it themselves.
func Kind(obj runtime.Object) string {
	switch obj.(type) {
	case *corev1.Pod:
		return kindPod
	case *corev1.Node:
		return kindNode
	case *appsv1.Deployment:
		return kindDeployment
	case *appsv1.StatefulSet:
		return kindStatefulSet
	case *appsv1.DaemonSet:
		return kindDaemonSet
	case *batchv1.Job:
		return kindJob
	case *kustomizev1.Kustomization:
		return kustomizev1.KustomizationKind
	case *helmv2.HelmRelease:
		return helmv2.HelmReleaseKind
	case *sourcev1.GitRepository:
		return sourcev1.GitRepositoryKind
	case *sourcev1.OCIRepository:
		return sourcev1.OCIRepositoryKind
	case *sourcev1.HelmRepository:
		return sourcev1.HelmRepositoryKind
	case *sourcev1.HelmChart:
		return sourcev1.HelmChartKind
	case *sourcev1.Bucket:
		return sourcev1.BucketKind
	}
	return ""
}

// Kinds of Kubernetes' own objects that events name.
const (
	kindPod         = "Pod"
	kindNode        = "Node"
	kindDeployment  = "Deployment"
	kindStatefulSet = "StatefulSet"
	kindDaemonSet   = "DaemonSet"
	kindReplicaSet  = "ReplicaSet"
	kindJob         = "Job"
	kindCronJob     = "CronJob"
)

func key(obj Object) event.Object {
	return event.Object{Kind: Kind(obj), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// Apply takes an object as it is now. Objects of kinds that the Observer does not understand are
// ignored.
func (o *Observer) Apply(obj Object, now time.Time) Result {
	switch obj := obj.(type) {
	case *corev1.Pod:
		o.applyPod(trimPod(obj), now)
	case *corev1.Node:
		o.nodes[obj.Name] = nodeReady(obj)
		o.tellCluster(now)
	default:
		if f, ok := readFlux(obj, &o.opts); ok {
			o.applyFlux(f, now)
		} else if w, ok := readWorkload(obj, &o.opts); ok {
			o.applyWorkload(w, now)
			if w.flux != "" {
				o.tellCluster(now)
			}
		}
	}
	return o.take(now)
}

// Remove takes the last known state of an object that is gone.
func (o *Observer) Remove(obj Object, now time.Time) Result {
	at := now
	if deleted := obj.GetDeletionTimestamp(); deleted != nil && deleted.Time.Before(now) {
		at = deleted.Time
	}
	o.remove(key(obj), at, now)
	return o.take(now)
}

// Keep removes every object of a kind that is not in names: after a list, what the list did not
// have is gone.
func (o *Observer) Keep(kind string, names map[event.Object]bool, now time.Time) Result {
	for _, obj := range o.known(kind) {
		if !names[obj] {
			o.remove(obj, now, now)
		}
	}
	return o.take(now)
}

func (o *Observer) known(kind string) []event.Object {
	var out []event.Object
	for obj := range maps.Keys(o.flux) {
		out = append(out, obj)
	}
	for obj := range maps.Keys(o.work) {
		out = append(out, obj)
	}
	for obj := range maps.Keys(o.pods) {
		out = append(out, obj)
	}
	for name := range maps.Keys(o.nodes) {
		out = append(out, event.Object{Kind: kindNode, Name: name})
	}
	out = slices.DeleteFunc(out, func(obj event.Object) bool { return obj.Kind != kind })
	slices.SortFunc(out, compareObjects)
	return out
}

func (o *Observer) remove(obj event.Object, at, now time.Time) {
	delete(o.due, obj)
	switch obj.Kind {
	case kindPod:
		o.removePod(obj, now)
	case kindNode:
		delete(o.nodes, obj.Name)
		o.tellCluster(now)
	case kindDeployment, kindStatefulSet, kindDaemonSet, kindJob:
		o.removeWorkload(obj, at, now)
		o.tellCluster(now)
	default:
		o.removeFlux(obj, at)
	}
}

// Recheck looks again at everything whose decision waited for time to pass.
func (o *Observer) Recheck(now time.Time) Result {
	var due []event.Object
	for obj, at := range o.due {
		if !at.After(now) {
			due = append(due, obj)
		}
	}
	slices.SortFunc(due, compareObjects)
	for _, obj := range due {
		delete(o.due, obj)
		if f := o.flux[obj]; f != nil {
			o.applyFlux(f.fluxObject, now)
		}
		if w := o.work[obj]; w != nil {
			o.applyWorkload(w.workload, now)
		}
		if p := o.pods[obj]; p != nil {
			o.applyPod(p.pod, now)
		}
		o.tellChanges(obj, now)
	}
	maps.DeleteFunc(o.removed, func(_ event.Object, at time.Time) bool { return now.Sub(at) > lingering })
	return o.take(now)
}

// lingering is how long pods may outlive the workload that made them without being taken for
// something new.
const lingering = 15 * time.Minute

// Snapshot is the full state: one draft for the cluster, one for every Flux object and workload,
// one for every open episode. It says nothing new, so it changes nothing.
func (o *Observer) Snapshot() []Draft {
	out := []Draft{{Type: event.ClusterConnected, Time: o.seen, Data: o.cluster}}
	for _, obj := range slices.SortedFunc(maps.Keys(o.flux), compareObjects) {
		out = append(out, o.fluxDraft(o.flux[obj]))
	}
	for _, obj := range slices.SortedFunc(maps.Keys(o.work), compareObjects) {
		out = append(out, o.workDraft(o.work[obj]))
	}
	for _, obj := range slices.SortedFunc(maps.Keys(o.episodes), compareObjects) {
		for _, ep := range o.episodes[obj] {
			d := o.episodeDraft(ep, event.EpisodeOpened, ep.data.OpenedAt)
			out = append(out, d)
		}
	}
	return out
}

// Objects counts the Flux objects and workloads that are known.
func (o *Observer) Objects() int { return len(o.flux) + len(o.work) }

// Cluster is the cluster as a whole.
func (o *Observer) Cluster() event.Cluster { return o.cluster }

func (o *Observer) say(d Draft) { o.out = append(o.out, d) }

// again asks for another look at obj, no later than at.
func (o *Observer) again(obj event.Object, at time.Time) {
	if at.IsZero() {
		return
	}
	if has, ok := o.due[obj]; !ok || at.Before(has) {
		o.due[obj] = at
	}
}

func (o *Observer) take(now time.Time) Result {
	r := Result{Drafts: o.out}
	o.out = nil
	for _, at := range o.due {
		if wait := max(at.Sub(now), time.Millisecond); r.RecheckAfter == 0 || wait < r.RecheckAfter {
			r.RecheckAfter = wait
		}
	}
	return r
}

func compareObjects(a, b event.Object) int {
	if c := strings.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

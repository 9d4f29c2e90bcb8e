package workloadcluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/operator/steps"
)

// short is what a table compares of an outcome.
type short struct {
	State  steps.State
	Reason string
	Retry  string // "backoff", "poll", or ""
}

func shorten(o steps.Outcome) short {
	out := short{State: o.State, Reason: o.Reason}
	switch {
	case o.Err != nil:
		out.Retry = "backoff"
	case o.After > 0:
		out.Retry = "poll"
	}
	return out
}

func TestMissing(t *testing.T) {
	viaClusterAPI := func(change func(*access)) access {
		a := access{viaClusterAPI: true, installed: true, name: "eks", kubeconfig: []byte("x"),
			state: capi.State{Found: true, ControlPlaneInitialized: true}}
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		seen access
		want short
		fix  string
	}{
		"what cannot be read is tried again":                    {access{err: errors.New("boom")}, short{steps.Failing, fleetv1.ReasonInternal, "backoff"}, "boom"},
		"a missing Cluster API is told of":                      {viaClusterAPI(func(a *access) { a.installed = false }), short{steps.Failing, fleetv1.ReasonClusterAPIMissing, "poll"}, "kubeconfigRef"},
		"a missing Cluster is told of":                          {viaClusterAPI(func(a *access) { a.state.Found = false }), short{steps.Failing, fleetv1.ReasonClusterNotFound, "poll"}, `"eks"`},
		"a Cluster that is going away is waited for":            {viaClusterAPI(func(a *access) { a.state.Deleting = true }), short{steps.Working, fleetv1.ReasonClusterDeleting, "poll"}, "down"},
		"a control plane that is not there yet is waited for":   {viaClusterAPI(func(a *access) { a.state.ControlPlaneInitialized, a.state.Message = false, "no quota" }), short{steps.Working, fleetv1.ReasonProvisioning, "poll"}, "no quota"},
		"a kubeconfig that is not written yet is waited for":    {viaClusterAPI(func(a *access) { a.kubeconfig = nil }), short{steps.Working, fleetv1.ReasonKubeconfigMissing, "poll"}, "eks-kubeconfig"},
		"a Secret that is missing is told of":                   {access{name: "k"}, short{steps.Failing, fleetv1.ReasonKubeconfigMissing, "poll"}, "create it"},
		"a Secret without the key that was given is told of":    {access{name: "k", secret: true, key: "cfg"}, short{steps.Blocked, fleetv1.ReasonKubeconfigInvalid, "poll"}, `no key "cfg"`},
		"a Secret without any of the usual keys is told of":     {access{name: "k", secret: true}, short{steps.Blocked, fleetv1.ReasonKubeconfigInvalid, "poll"}, `"value" nor "kubeconfig"`},
		"an error comes before what was not read because of it": {access{err: errors.New("boom"), viaClusterAPI: true}, short{steps.Failing, fleetv1.ReasonInternal, "backoff"}, "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, blocked := missing(c.seen)
			if !blocked || !strings.Contains(outcome.Message, c.fix) {
				t.Errorf("blocked is %v, the message lacks %q: %s", blocked, c.fix, outcome.Message)
			}
			if diff := cmp.Diff(c.want, shorten(outcome)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	for name, seen := range map[string]access{
		"an initialised Cluster can be tried": viaClusterAPI(func(*access) {}),
		"a kubeconfig can be tried, if empty": {secret: true, keyFound: true},
	} {
		t.Run(name, func(t *testing.T) {
			if outcome, blocked := missing(seen); blocked {
				t.Errorf("blocked by %+v", outcome)
			}
		})
	}
}

func TestNotConnected(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want short
	}{
		"what is not allowed needs a person":    {fmt.Errorf("%w: exec", remote.ErrForbidden), short{steps.Blocked, fleetv1.ReasonKubeconfigForbidden, "poll"}},
		"what is empty needs a person":          {remote.ErrEmpty, short{steps.Blocked, fleetv1.ReasonKubeconfigInvalid, "poll"}},
		"what is no kubeconfig needs a person":  {remote.ErrInvalid, short{steps.Blocked, fleetv1.ReasonKubeconfigInvalid, "poll"}},
		"refused credentials may turn":          {remote.ErrUnauthorized, short{steps.Failing, fleetv1.ReasonUnauthorized, "poll"}},
		"of one that is away others say when":   {remote.ErrUnreachable, short{steps.Failing, fleetv1.ReasonUnreachable, ""}},
		"anything else is tried with a backoff": {errors.New("boom"), short{steps.Failing, fleetv1.ReasonInternal, "backoff"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, shorten(notConnected(access{}, "c1", c.err))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	slow, quick := notConnected(access{}, "c1", remote.ErrUnauthorized), notConnected(access{viaClusterAPI: true}, "c1", remote.ErrUnauthorized)
	if quick.After >= slow.After {
		t.Errorf("a token that a provider turns is looked at after %s, one that people turn after %s", quick.After, slow.After)
	}
}

func TestDecideFlux(t *testing.T) {
	ours := flux.Installed{Found: true, Managed: true, Version: "v2.9.4"}
	foreign := flux.Installed{Found: true, Version: "v2.3.0"}
	for name, c := range map[string]struct {
		seen fluxSeen
		work fluxWork
		want short
	}{
		"an empty cluster gets Flux":                          {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxManaged, fleet: true}, apply, short{}},
		"Fairway's Flux is kept as it should be":              {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxManaged, fleet: true, installed: ours}, apply, short{}},
		"without a Fleet it waits":                            {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxManaged}, leave, short{steps.Waiting, fleetv1.ReasonNoFleet, "poll"}},
		"somebody's Flux is left alone, and told of":          {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxManaged, fleet: true, installed: foreign}, leave, short{steps.Blocked, fleetv1.ReasonFluxConflict, "poll"}},
		"an existing Flux is used, even without a Fleet":      {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxExisting, installed: foreign}, leave, short{steps.Done, fleetv1.ReasonFluxExisting, ""}},
		"an existing Flux that is not there is told of":       {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxExisting, fleet: true}, leave, short{steps.Blocked, fleetv1.ReasonFluxNotFound, "poll"}},
		"an observed cluster is left alone":                   {fluxSeen{mode: fleetv1.ModeObserve, install: fleetv1.FluxManaged, fleet: true}, leave, short{steps.Skipped, fleetv1.ReasonObserveOnly, ""}},
		"somebody's Flux is taken over when that is said":     {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxTakeOver, fleet: true, installed: foreign}, takeOver, short{}},
		"what is taken over is Fairway's":                     {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxTakeOver, fleet: true, installed: ours}, apply, short{}},
		"where there is nothing to take over it is installed": {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxTakeOver, fleet: true}, apply, short{}},
		"what says nothing is no consent":                     {fluxSeen{mode: fleetv1.ModeManage, fleet: true, installed: foreign}, leave, short{steps.Blocked, fleetv1.ReasonFluxConflict, "poll"}},
		"nothing is taken over for no Fleet":                  {fluxSeen{mode: fleetv1.ModeManage, install: fleetv1.FluxTakeOver, installed: foreign}, leave, short{steps.Waiting, fleetv1.ReasonNoFleet, "poll"}},
		"nor while a cluster is observed":                     {fluxSeen{mode: fleetv1.ModeObserve, install: fleetv1.FluxTakeOver, fleet: true, installed: foreign}, leave, short{steps.Skipped, fleetv1.ReasonObserveOnly, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, work := decideFlux(c.seen)
			if diff := cmp.Diff(c.want, shorten(outcome)); diff != "" || work != c.work {
				t.Errorf("work is %v (-want +have):\n%s", work, diff)
			}
		})
	}
}

func TestTakeOverClash(t *testing.T) {
	for name, c := range map[string]struct {
		found    *survey.TakeOver
		refusals []string
		want     string // of the message; empty: there is no clash
	}{
		"what nothing stands in the way of goes on":    {&survey.TakeOver{Objects: []string{"Namespace/flux-system"}}, nil, ""},
		"what somebody else keeps is named with whose": {&survey.TakeOver{Conflicts: []survey.Conflict{{Object: "Deployment/flux-system/source-controller", Owner: "Helm flux/flux", Message: "it would write back"}}}, nil, "Deployment/flux-system/source-controller (Helm flux/flux): it would write back"},
		"so is what the cluster itself would not take": {nil, []string{"Service/flux-system/webhook: spec.clusterIP: field is immutable"}, "the cluster refuses Service/flux-system/webhook: spec.clusterIP: field is immutable"},
		"it is said that nothing was touched":          {nil, []string{"x"}, "nothing of it was touched"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, clash := takeOverClash(c.found, c.refusals)
			if clash != (c.want != "") || !strings.Contains(outcome.Message, c.want) {
				t.Errorf("clash is %v: %s", clash, outcome.Message)
			}
			if want := (short{steps.Blocked, fleetv1.ReasonTakeOverClash, "poll"}); clash && shorten(outcome) != want {
				t.Errorf("%+v, want %+v", shorten(outcome), want)
			}
		})
	}
}

func TestFluxMissing(t *testing.T) {
	for name, c := range map[string]struct {
		installed flux.Installed
		err       error
		want      short
	}{
		"an artifact that cannot be had is told of":            {flux.Installed{}, flux.ErrRegistryUnreachable, short{steps.Failing, fleetv1.ReasonArtifactFailed, "backoff"}},
		"a range without a version is told of":                 {flux.Installed{}, flux.ErrVersionNotFound, short{steps.Failing, fleetv1.ReasonVersionNotFound, "backoff"}},
		"a range that is none is told of":                      {flux.Installed{}, flux.ErrRange, short{steps.Failing, fleetv1.ReasonVersionNotFound, "backoff"}},
		"a registry that is away harms no cluster that has it": {flux.Installed{Found: true, Managed: true}, flux.ErrRegistryUnreachable, short{steps.Done, fleetv1.ReasonSucceeded, "poll"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, shorten(fluxMissing(c.installed, c.err))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestFluxApplied(t *testing.T) {
	pending := []string{"a", "b", "c", "d", "e", "f"}
	if got := fluxApplied("v2.9.5", "", pending, nil); got.Reason != fleetv1.ReasonRollingOut || !strings.HasSuffix(got.Message, "a; b; c; d; and 2 more") {
		t.Errorf("with pending objects: %+v", got)
	}
	if got := fluxApplied("v2.9.5", "", nil, errors.New("denied by policy")); got.Reason != fleetv1.ReasonApplyFailed || got.Err == nil {
		t.Errorf("refused: %+v", got)
	}
	if got := fluxApplied("v2.9.5", "", nil, remote.ErrUnauthorized); got.Reason != fleetv1.ReasonUnauthorized {
		t.Errorf("with a token that turned meanwhile: %+v", got)
	}
	if got := fluxApplied("v2.9.5", "v2.9.6 waits for ring canary", nil, nil); got.Message != "Flux v2.9.5; v2.9.6 waits for ring canary" {
		t.Errorf("it does not say what waits: %+v", got)
	}
	if got := fluxApplied("v2.9.5", "", nil, nil); got.State != steps.Done {
		t.Errorf("with nothing pending: %+v", got)
	}
}

func TestSync(t *testing.T) {
	done, failing := steps.Succeeded("x"), steps.Internal(errors.New("x"))
	if got, not := notSyncing(fleetv1.ModeManage, true, done); not {
		t.Errorf("a cluster with Flux does not sync: %+v", got)
	}
	for name, c := range map[string]struct {
		mode  fleetv1.Mode
		fleet bool
		ready steps.Outcome
		want  string
	}{
		"an observed cluster follows nothing":  {fleetv1.ModeObserve, true, done, fleetv1.ReasonObserveOnly},
		"without a Fleet there is nothing":     {fleetv1.ModeManage, false, done, fleetv1.ReasonNoFleet},
		"without Flux nobody would follow yet": {fleetv1.ModeManage, true, failing, fleetv1.ReasonWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			if got, not := notSyncing(c.mode, c.fleet, c.ready); !not || got.Reason != c.want {
				t.Errorf("%v %+v", not, got)
			}
		})
	}
	for name, c := range map[string]struct {
		state flux.SyncState
		want  steps.State
	}{
		"a revision that was applied is done":               {flux.SyncState{Ready: true, Reason: fleetv1.ReasonSucceeded}, steps.Done},
		"so it is while a newer one is on its way":          {flux.SyncState{Ready: true, Reconciling: true, Reason: fleetv1.ReasonSucceeded}, steps.Done},
		"a failure is a failure":                            {flux.SyncState{Failed: true, Reason: fleetv1.ReasonSyncFailed}, steps.Failing},
		"one that is tried again is a failure still":        {flux.SyncState{Failed: true, Reconciling: true, Reason: fleetv1.ReasonSyncFailed}, steps.Failing},
		"what is under way is":                              {flux.SyncState{Reconciling: true, Reason: fleetv1.ReasonSyncing}, steps.Working},
		"what somebody suspended on the cluster is awaited": {flux.SyncState{Reason: fleetv1.ReasonSuspended}, steps.Working},
	} {
		t.Run(name, func(t *testing.T) {
			if got := syncOutcome(c.state); got.State != c.want || got.Reason != c.state.Reason {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestHolderOf(t *testing.T) {
	named := func(namespace string, second int64) fleetv1.WorkloadCluster {
		return fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x", CreationTimestamp: metav1.Unix(second, 0)}}
	}
	for name, c := range map[string]struct {
		obj  fleetv1.WorkloadCluster
		all  []fleetv1.WorkloadCluster
		want string
	}{
		"one that is alone has its id":                   {named("b", 1), []fleetv1.WorkloadCluster{named("b", 1)}, "b"},
		"the older has it":                               {named("a", 2), []fleetv1.WorkloadCluster{named("a", 2), named("b", 1)}, "b"},
		"of the same second the first by namespace does": {named("b", 1), []fleetv1.WorkloadCluster{named("b", 1), named("a", 1)}, "a"},
		"a list that lacks it does not take it away":     {named("b", 1), nil, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := holderOf(&c.obj, c.all); got.Namespace != c.want {
				t.Errorf("%s has it, not %s", got.Namespace, c.want)
			}
		})
	}
}

func TestResting(t *testing.T) {
	obj := func(change func(*fleetv1.WorkloadCluster)) *fleetv1.WorkloadCluster {
		wc := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", UID: "1"}}
		change(wc)
		return wc
	}
	plain := obj(func(*fleetv1.WorkloadCluster) {})
	other := obj(func(w *fleetv1.WorkloadCluster) { w.UID = "2" })
	for name, c := range map[string]struct {
		obj, holder *fleetv1.WorkloadCluster
		access      access
		want        string
	}{
		"nothing stops a plain one":                     {plain, plain, access{}, ""},
		"an id that is taken stops":                     {plain, other, access{}, fleetv1.ReasonIDTaken},
		"suspend stops":                                 {obj(func(w *fleetv1.WorkloadCluster) { w.Spec.Suspend = true }), plain, access{}, fleetv1.ReasonSuspended},
		"the annotation stops":                          {obj(func(w *fleetv1.WorkloadCluster) { w.Annotations = map[string]string{capi.PausedAnnotation: ""} }), plain, access{}, fleetv1.ReasonPaused},
		"a paused Cluster stops":                        {plain, plain, access{state: capi.State{Paused: true}}, fleetv1.ReasonPaused},
		"a taken id stops before suspend says anything": {obj(func(w *fleetv1.WorkloadCluster) { w.Spec.Suspend = true }), other, access{}, fleetv1.ReasonIDTaken},
	} {
		t.Run(name, func(t *testing.T) {
			if got := resting(c.obj, c.holder, c.access); got.reason != c.want || got.blocked != (c.want == fleetv1.ReasonIDTaken) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestDecideCleanup(t *testing.T) {
	for name, c := range map[string]struct {
		seen departure
		want cleanup
	}{
		"a cluster that was reached is cleaned":               {departure{reached: true}, cleanup{platform: true, cluster: true}},
		"one that was never reached has nothing on it":        {departure{}, cleanup{platform: true}},
		"one that is gone has nothing on it":                  {departure{reached: true, gone: true}, cleanup{platform: true}},
		"a suspended one is left as it is":                    {departure{reached: true, suspended: true}, cleanup{platform: true}},
		"one that moved goes on elsewhere":                    {departure{reached: true, moved: true, paused: true}, cleanup{}},
		"a paused one waits":                                  {departure{reached: true, paused: true}, cleanup{wait: true}},
		"one that never had its id touches nothing of others": {departure{stranger: true, reached: true}, cleanup{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decideCleanup(c.seen); got != c.want {
				t.Errorf("%+v, not %+v", got, c.want)
			}
		})
	}
}

func TestPoll(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, c := range map[string]struct{ under, low, high time.Duration }{
		"at first it is quick":          {0, quickPoll, quickPoll},
		"after minutes it is slower":    {4 * time.Minute, 8 * time.Second, 12 * time.Second},
		"after a quarter it is patient": {time.Hour, 24 * time.Second, 36 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := poll(now.Add(-c.under), now); got < c.low || got > c.high {
				t.Errorf("%s is not between %s and %s", got, c.low, c.high)
			}
		})
	}
	for _, c := range [][3]time.Duration{{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {2, 1, 1}, {1, 2, 1}} {
		if got := sooner(c[0], c[1]); got != c[2] {
			t.Errorf("sooner(%d, %d) is %d", c[0], c[1], got)
		}
	}
}

func TestCloudOf(t *testing.T) {
	for name, c := range map[string]struct {
		id, region string
		want       fleetv1.Cloud
	}{
		"a node of AWS":                 {"aws:///eu-west-1a/i-0abc", "eu-west-1", fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1"}},
		"a node of Azure":               {"azure:///subscriptions/0000-1111/resourceGroups/x/providers/y", "westeurope", fleetv1.Cloud{Provider: "Azure", Region: "westeurope", Account: "0000-1111"}},
		"a node of Google":              {"gce://project/europe-west1-b/node", "europe-west1", fleetv1.Cloud{Provider: "GCP", Region: "europe-west1", Account: "project"}},
		"a node of somebody else":       {"hcloud://123", "fsn1", fleetv1.Cloud{Provider: "hcloud", Region: "fsn1"}},
		"a node that says only a place": {"", "rack-1", fleetv1.Cloud{Region: "rack-1"}},
		"a node that says nothing":      {"", "", fleetv1.Cloud{}},
	} {
		t.Run(name, func(t *testing.T) {
			node := &corev1.Node{Spec: corev1.NodeSpec{ProviderID: c.id}}
			if c.region != "" {
				node.Labels = map[string]string{corev1.LabelTopologyRegion: c.region}
			}
			if diff := cmp.Diff(c.want, cloudOf(node)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	given := fleetv1.Cloud{Provider: "On-premises"}
	if got := merge(given, fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1"}); got != given {
		t.Errorf("what people say is overruled: %+v", got)
	}
}

func TestRegistration(t *testing.T) {
	at := metav1.Unix(1e9, 0)
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "x"}}
	obj.Spec = fleetv1.WorkloadClusterSpec{Environment: "prod", Mode: fleetv1.ModeObserve, Suspend: true}
	obj.Status.Cloud = fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1", Account: "1"}
	obj.Status.Conditions = []metav1.Condition{
		{Type: "Ready", Status: "False", Reason: "x"},
		{Type: fleetv1.ConditionAgentConnected, Status: "False", Reason: "y", Message: strings.Repeat("m", event.MaxMessage+1), LastTransitionTime: at},
		{Type: fleetv1.ConditionFluxReady, Status: "Unknown", Reason: fleetv1.ReasonObserveOnly},
		{Type: fleetv1.ConditionReachable, Status: "True", Reason: "Succeeded", LastTransitionTime: at},
	}
	want := event.Registration{
		Cluster: "x", Namespace: "clusters", Environment: "prod", Cloud: "AWS", Region: "eu-west-1", Account: "1", Mode: "Observe", Suspended: true,
		Conditions: []event.Condition{
			{Type: "Reachable", Status: "True", Reason: "Succeeded", Since: at.UTC()},
			{Type: "AgentConnected", Status: "False", Reason: "y", Message: strings.Repeat("m", event.MaxMessage), Since: at.UTC()},
		},
	}
	if diff := cmp.Diff(want, registration(obj)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	e, err := announcement(event.ClusterRegistered, want, at.Time)
	e.ID = "1"
	if err != nil || e.Validate() != nil || e.Subject != "WorkloadCluster/clusters/x" || e.Cluster() != event.Platform {
		t.Errorf("%v %v %+v", err, e.Validate(), e)
	}
}

func TestFluxLooksAtEachInterval(t *testing.T) {
	const revision = "main@sha1:1"
	again := flux.SyncState{Reconciling: true, Again: true, Reason: fleetv1.ReasonSyncing, Revision: revision}
	for name, c := range map[string]struct {
		state   flux.SyncState
		synced  metav1.ConditionStatus
		applied string
		ready   bool
	}{
		"of a cluster that is well it is no news":            {again, metav1.ConditionTrue, revision, true},
		"after a failure it is not well before Flux says so": {again, metav1.ConditionFalse, revision, false},
		"nor is one of which nothing is known yet":           {again, metav1.ConditionUnknown, "", false},
		"of a revision that is new it is":                    {again, metav1.ConditionTrue, "main@sha1:0", false},
		"a newer commit is under way, not well":              {flux.SyncState{Reconciling: true, Reason: fleetv1.ReasonSyncing, Revision: revision}, metav1.ConditionTrue, revision, false},
		"a failure is a failure":                             {flux.SyncState{Failed: true, Reason: fleetv1.ReasonSyncFailed, Revision: revision}, metav1.ConditionTrue, revision, false},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &fleetv1.WorkloadCluster{}
			obj.Status.Flux.Revision = c.applied
			obj.Status.Conditions = []metav1.Condition{{Type: fleetv1.ConditionSynced, Status: c.synced}}
			got := withoutLooks(c.state, obj)
			if got.Ready != c.ready || !got.Reconciling && !got.Failed {
				t.Errorf("%+v", got)
			}
		})
	}
}

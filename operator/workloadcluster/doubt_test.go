package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/steps"
)

// with is a cluster with conditions that are false for a reason, since so many seconds after moment.
func with(reasons map[string]string, since map[string]int) *fleetv1.WorkloadCluster {
	obj := &fleetv1.WorkloadCluster{}
	for condition, reason := range reasons {
		obj.Status.Conditions = append(obj.Status.Conditions, metav1.Condition{Type: condition, Status: metav1.ConditionFalse, Reason: reason,
			LastTransitionTime: metav1.NewTime(moment.Add(time.Duration(since[condition]) * time.Second))})
	}
	return obj
}

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDoubtful(t *testing.T) {
	for name, c := range map[string]struct {
		condition, reason string
		silent            bool
		want              bool
	}{
		"a new cluster is not doubted":                    {"", "", false, false},
		"one that refuses the operator answers":           {fleetv1.ConditionReachable, fleetv1.ReasonUnauthorized, false, false},
		"one whose agent is silent may have gone with it": {"", "", true, true},
		"one that did not answer is doubted":              {fleetv1.ConditionReachable, fleetv1.ReasonUnreachable, false, true},
		"and one that fell silent in the midst of a pass": {fleetv1.ConditionSynced, fleetv1.ReasonUnreachable, false, true},
		"what a survey met does not count":                {fleetv1.ConditionSurveyed, fleetv1.ReasonUnreachable, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if have := doubtful(with(map[string]string{c.condition: c.reason}, nil), c.silent); have != c.want {
				t.Errorf("doubted: %v, want %v", have, c.want)
			}
		})
	}
	r := &Reconciler{}
	if r.patience(true) != 0 || r.patience(false) != firstAnswer {
		t.Errorf("a worker waits %s for one that is doubted, and %s for another", r.patience(true), r.patience(false))
	}
}

func TestDarkSince(t *testing.T) {
	obj := with(map[string]string{fleetv1.ConditionAgentConnected: fleetv1.ReasonUnreachable, fleetv1.ConditionSynced: fleetv1.ReasonUnreachable, fleetv1.ConditionFluxReady: fleetv1.ReasonRollingOut},
		map[string]int{fleetv1.ConditionAgentConnected: 20, fleetv1.ConditionSynced: 10, fleetv1.ConditionFluxReady: 5})
	if have := darkSince(obj); !have.Equal(moment.Add(10 * time.Second)) {
		t.Errorf("dark since %s, want the first that got no answer", have)
	}
}

func TestRetryDark(t *testing.T) {
	for name, c := range map[string]struct{ dark, want time.Duration }{
		"one that has just gone is tried soon":       {0, 10 * time.Second},
		"one that was away for a while takes longer": {time.Minute, 15 * time.Second},
		"one that is long gone is not forgotten":     {24 * time.Hour, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if have := retryDark(c.dark); have != c.want {
				t.Errorf("%s, want %s", have, c.want)
			}
		})
	}
}

func TestPutOff(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"one that has not answered yet is put off":            {remote.ErrPending, true},
		"one that was not asked is put off":                   {fmt.Errorf("ask: %w", remote.ErrBusy), true},
		"one for which there is no worker is put off":         {errNoPlace, true},
		"one that does not answer is told of":                 {remote.ErrUnreachable, false},
		"a pass that can go on is not put off":                {nil, false},
		"an error that says nothing of waiting is no reason ": {errors.New("boom"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if after, have := putOff(c.err); have != c.want || (after > 0) != c.want {
				t.Errorf("%v after %s, want %v", have, after, c.want)
			}
		})
	}
}

func TestNoStepIsTakenAfterOneThatGotNoAnswer(t *testing.T) {
	r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(moment)}
	p := &pass{obj: &fleetv1.WorkloadCluster{}}
	gone := steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonUnreachable, Message: "no answer in time"}
	never := func() steps.Outcome {
		t.Error("the step is taken")
		return steps.Outcome{}
	}
	gone.After = surveyRetry // as of a survey, which can wait
	have := r.unlessSilent(p, gone, never)
	if have.After <= 0 || have.After > 2*soonestRetry {
		t.Errorf("it is tried again after %s", have.After)
	}
	if diff := cmp.Diff(gone.Again(0), have.Again(0)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	boom := steps.Internal(errors.New("boom"))
	if have := r.unlessSilent(p, boom, func() steps.Outcome { return steps.Succeeded("fine") }); have.State != steps.Done {
		t.Errorf("a step that failed keeps the next from being taken: %+v", have)
	}
	first := r.unlessSilent(p, steps.Outcome{}, func() steps.Outcome { return clusterFailed(fmt.Errorf("list: %w", remote.ErrUnreachable)) })
	if first.Err != nil || first.After <= 0 || first.After > 2*soonestRetry {
		t.Errorf("the first that got no answer is tried again after %s, error %v", first.After, first.Err)
	}
}

func TestPlacesOf(t *testing.T) {
	for workers, want := range map[int]int{1: 1, 3: 1, 8: 2, 20: 5} {
		if have := placesOf(workers); have != want {
			t.Errorf("%d of %d workers, want %d", have, workers, want)
		}
	}
}

func TestThoseThatAreDoubtedAreAskedOneAfterAnother(t *testing.T) {
	r := &Reconciler{Agents: &agents{}, Remotes: remote.NewPool(remote.Options{})}
	r.asking.every = time.Hour
	named := func(name, reason string) *fleetv1.WorkloadCluster {
		obj := with(map[string]string{fleetv1.ConditionReachable: reason}, nil)
		obj.Name = name
		return obj
	}
	for _, c := range []struct {
		name, reason string
		doubted, ok  bool
	}{
		{"a", fleetv1.ReasonUnreachable, true, true},
		{"b", fleetv1.ReasonUnreachable, true, false},
		{"answers", fleetv1.ReasonUnauthorized, false, true},
		{"b", fleetv1.ReasonUnauthorized, false, true}, // it has answered meanwhile, and waits no more
	} {
		if doubted, ok := r.mayAsk(named(c.name, c.reason)); doubted != c.doubted || ok != c.ok {
			t.Errorf("%s: doubted %t, asked %t, want %t and %t", c.name, doubted, ok, c.doubted, c.ok)
		}
	}
	if len(r.asking.waiting) > 0 {
		t.Errorf("%v still wait", r.asking.waiting)
	}
}

// waitsForNobody passes over a cluster that accepts connections and never answers.
func waitsForNobody(t *testing.T, s *suite) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	obj := s.adopt(t, "", "silent", at(t, s.workload.Kubeconfig, "https://"+silent.Addr().String()))
	defer remove(t, s.platform.Client, obj)
	s.FirstAnswer = time.Millisecond
	defer func() { s.FirstAnswer = patient }()
	result, err := s.pass(t, obj)
	if err != nil || result.RequeueAfter == 0 || len(obj.Status.Conditions) > 0 {
		t.Errorf("the first pass asks for %+v, error %v, and says %v of what nobody knows", result, err, obj.Status.Conditions)
	}
	platformtest.Eventually(t, func(context.Context) string {
		if result, err = s.pass(t, obj); err != nil || shows(obj, fleetv1.ConditionReachable) != "False/Unreachable" {
			return fmt.Sprintf("Reachable is %s, error %v", shows(obj, fleetv1.ConditionReachable), err)
		}
		return ""
	})
	if result.RequeueAfter < soonestRetry/2 || result.RequeueAfter > 2*soonestRetry {
		t.Errorf("it is tried again after %s", result.RequeueAfter)
	}
}

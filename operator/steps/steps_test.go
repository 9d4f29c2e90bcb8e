package steps

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func step(condition string, state State, reason string) Step {
	return Step{Condition: condition, Outcome: Outcome{State: state, Reason: reason, Message: "m"}}
}

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		steps []Step
		want  map[string]string
	}{
		"when all is done it is Ready": {
			[]Step{step("A", Done, "Succeeded"), step("B", Skipped, "Off")},
			map[string]string{"A": "True/Succeeded", "B": "Unknown/Off", "Ready": "True/Succeeded: ready"},
		},
		"Ready tells of the first step that is not done": {
			[]Step{step("A", Done, "Succeeded"), step("B", Failing, "Broken"), step("C", Working, "Busy")},
			map[string]string{"A": "True/Succeeded", "B": "False/Broken", "C": "False/Busy", "Ready": "False/Broken: B: m", "Reconciling": "True/Broken: m"},
		},
		"one that needs a person comes first": {
			[]Step{step("A", Working, "Busy"), step("B", Blocked, "Taken")},
			map[string]string{"A": "False/Busy", "B": "False/Taken", "Ready": "False/Taken: B: m", "Stalled": "True/Taken: m"},
		},
		"one that waits is unknown": {
			[]Step{step("A", Waiting, "Later")},
			map[string]string{"A": "Unknown/Later", "Ready": "False/Later: A: m", "Reconciling": "True/Later: m"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &fleetv1.Fleet{}
			obj.Status.Conditions = []metav1.Condition{{Type: "Stalled", Status: "True", Reason: "Old"}, {Type: "Reconciling", Status: "True", Reason: "Old"}}
			Report(obj, c.steps, "ready")
			have := map[string]string{}
			for _, condition := range obj.Status.Conditions {
				have[condition.Type] = string(condition.Status) + "/" + condition.Reason
				if condition.Type == "Ready" || condition.Type == "Reconciling" || condition.Type == "Stalled" {
					have[condition.Type] += ": " + condition.Message
				}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestNext(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		steps []Step
		after time.Duration
		err   error
	}{
		"nothing has no wish":                  {nil, 0, nil},
		"the soonest wish counts":              {[]Step{{Outcome: Outcome{After: 3}}, {Outcome: Outcome{}}, {Outcome: Outcome{After: 2}}}, 2, nil},
		"an error asks for a retry in any way": {[]Step{{Outcome: Outcome{After: 3}}, {Outcome: Internal(boom)}}, 3, boom},
	} {
		t.Run(name, func(t *testing.T) {
			if after, err := Next(c.steps); after != c.after || !errors.Is(err, c.err) {
				t.Errorf("%s, %v", after, err)
			}
		})
	}
}

func TestTransitions(t *testing.T) {
	before := []metav1.Condition{{Type: "A", Status: "True", Reason: "Succeeded"}, {Type: "B", Status: "False", Reason: "Broken"}}
	for name, c := range map[string]struct {
		steps []Step
		want  []Transition
	}{
		"the same again is no news":             {[]Step{step("A", Done, "Succeeded"), step("B", Failing, "Broken")}, nil},
		"another reason is news":                {[]Step{step("B", Failing, "Worse")}, []Transition{{Type: "Warning", Condition: "B", Reason: "Worse"}}},
		"what is mended is good news":           {[]Step{step("B", Done, "Succeeded")}, []Transition{{Type: "Normal", Condition: "B", Reason: "Succeeded"}}},
		"what is under way is no warning":       {[]Step{step("A", Working, "Busy")}, []Transition{{Type: "Normal", Condition: "A", Reason: "Busy"}}},
		"a condition that is new is news":       {[]Step{step("C", Blocked, "Taken")}, []Transition{{Type: "Warning", Condition: "C", Reason: "Taken"}}},
		"one that waits for another is no news": {[]Step{step("A", Waiting, "Later"), step("B", Skipped, "Off")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Transitions(before, c.steps), cmpopts.IgnoreFields(Transition{}, "Message")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestNote(t *testing.T) {
	if got := Note("short"); got != "short" {
		t.Errorf("%q", got)
	}
	if got := Note(strings.Repeat("ä", maxNote)); len(got) > maxNote || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
	}
}

func TestBackoff(t *testing.T) {
	limiter := Backoff()
	bad, good := reconcile.Request{NamespacedName: types.NamespacedName{Name: "bad"}}, reconcile.Request{NamespacedName: types.NamespacedName{Name: "good"}}
	var last time.Duration
	for range 20 {
		last = limiter.When(bad)
	}
	if last < time.Duration(float64(maxDelay)*(1-spread)) || last > time.Duration(float64(maxDelay)*(1+spread)) {
		t.Errorf("one that keeps failing is tried again after %s", last)
	}
	if first := limiter.When(good); first > 2*baseDelay {
		t.Errorf("one that failed once waits %s for another that fails", first)
	}
	limiter.Forget(bad)
	if after := limiter.When(bad); after > 2*baseDelay {
		t.Errorf("one that was well meanwhile waits %s", after)
	}
}

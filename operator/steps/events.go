package steps

import (
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// maxNote is the bound that Kubernetes sets to an event's note, in bytes.
const maxNote = 1024

// Transition is a step whose condition has another status or reason than before.
type Transition struct {
	Type, Condition, Reason, Message string // Type is Normal or Warning
}

// Transitions says which steps differ in status or reason from the conditions before. Steps that
// wait for another, or are not wanted, are no news.
func Transitions(before []metav1.Condition, all []Step) []Transition {
	var out []Transition
	for _, step := range all {
		if step.State == Waiting || step.State == Skipped {
			continue
		}
		old := apimeta.FindStatusCondition(before, step.Condition)
		if old != nil && old.Status == step.status() && old.Reason == step.Reason {
			continue
		}
		kind := corev1.EventTypeNormal
		if step.State == Failing || step.State == Blocked {
			kind = corev1.EventTypeWarning
		}
		out = append(out, Transition{Type: kind, Condition: step.Condition, Reason: step.Reason, Message: step.Message})
	}
	return out
}

// Record records the transitions as Kubernetes events about obj, whose action is the step.
func Record(recorder events.EventRecorder, obj runtime.Object, transitions []Transition) {
	for _, t := range transitions {
		recorder.Eventf(obj, nil, t.Type, t.Reason, t.Condition, "%s", Note(t.Condition+": "+t.Message))
	}
}

// Note cuts a text to what an event may hold.
func Note(text string) string {
	if len(text) > maxNote {
		return strings.ToValidUTF8(text[:maxNote-3], "") + "..."
	}
	return text
}

// Owned are the conditions that a kind's reconciler owns: its steps' and those of kstatus.
func Owned(stepConditions ...string) []string {
	return append([]string{meta.ReadyCondition, meta.ReconcilingCondition, meta.StalledCondition}, stepConditions...)
}

package fleet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/eventbus"
)

func TestKeysElsewhere(t *testing.T) {
	const uid = types.UID("here")
	for name, c := range map[string]struct {
		note, account string
		wait          bool
		says          string
	}{
		"a new Fleet makes its keys":                                {},
		"a Fleet that never had any takes those that are here":      {account: "A1"},
		"its own keys are used":                                     {note: "here/A1", account: "A1"},
		"a Fleet of this platform that lost its keys gets new ones": {note: "here/A1"},
		"keys that were replaced on this platform are used":         {note: "here/A1", account: "A2"},
		"a Fleet that was moved with its keys uses them":            {note: "there/A1", account: "A1"},
		"a Fleet that was moved waits for its keys":                 {note: "there/A1", wait: true, says: "have not"},
		"a Fleet that was moved takes nobody else's keys":           {note: "there/A1", account: "A2", wait: true, says: "is of account A2"},
		"a note that is none stops nothing":                         {note: "?"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, wait := keysElsewhere(c.note, uid, c.account)
			if wait != c.wait || !strings.Contains(outcome.Message, c.says) || wait && outcome.Reason != fleetv1.ReasonKeysNotMoved {
				t.Errorf("waits %t: %+v", wait, outcome)
			}
		})
	}
}

// waitsForKeys plays `clusterctl move`: a Fleet comes with its annotations and without its status, and its keys come later.
func waitsForKeys(t *testing.T, s *suite) {
	fleet := newFleet(nil)
	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	note := fleet.Annotations[fleetv1.AnnotationKeys]
	if of, account, ok := strings.Cut(note, "/"); !ok || types.UID(of) != fleet.UID || !strings.HasPrefix(account, "A") {
		t.Fatalf("the Fleet notes %q", note)
	}
	key := client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: eventbus.KeysName}
	var keys corev1.Secret
	if err := s.c.Get(t.Context(), key, &keys); err != nil {
		t.Fatal(err)
	}
	if _, moves := keys.Labels[fleetv1.LabelMove]; !moves {
		t.Errorf("clusterctl move leaves the keys behind: labels %v", keys.Labels)
	}
	if err := s.c.Delete(t.Context(), keys.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	fleet.Annotations[fleetv1.AnnotationKeys] = strings.Replace(note, string(fleet.UID), "of-another-platform", 1)
	if err := s.c.Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}

	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionEventsReady: "False/KeysNotMoved", "Stalled": "True/KeysNotMoved"})
	if err := s.c.Get(t.Context(), key, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Fatalf("keys were made before the old ones came: error %v", err)
	}
	keys.ResourceVersion = ""
	if err := s.c.Create(t.Context(), &keys); err != nil {
		t.Fatal(err)
	}
	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionEventsReady: "True/Succeeded"})
	if got := fleet.Annotations[fleetv1.AnnotationKeys]; got != note {
		t.Errorf("the Fleet notes %q, want %q", got, note)
	}
}

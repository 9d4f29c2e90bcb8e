package move

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
	hubclient "github.com/fairway-dev/fairway/fleet/client"
)

// identity is what must be the same on the next platform, by cluster.
type identity struct {
	ID    string // of status
	NKey  string // of the agent's credentials
	Agent string // UID of the pod: it was not started anew
}

// life is one life of a sender's outbox.
type life struct{ cluster, epoch string }

// seen is what a platform knows.
type seen struct {
	identity map[string]identity
	events   map[string]string          // id of an event to what it is
	copies   map[string]int             // of an event, by id
	numbers  map[life]map[uint64]string // of events, by life and sequence: their ids
	changes  map[string]int             // what the history says changed, how often
}

func look(t *testing.T, f *fleet.Fleet) seen {
	t.Helper()
	s := seen{identity: map[string]identity{}, events: map[string]string{}, copies: map[string]int{},
		numbers: map[life]map[uint64]string{}, changes: map[string]int{}}
	for _, id := range members {
		s.identity[id] = identityOf(t, f, id)
	}
	s.readEvents(t, f)
	s.readChanges(t, f)
	return s
}

func identityOf(t *testing.T, f *fleet.Fleet, id string) identity {
	t.Helper()
	var cluster fleetv1.WorkloadCluster
	if err := f.Platform.Client().Get(t.Context(), fleet.Key(id), &cluster); err != nil {
		t.Fatal(err)
	}
	var stored, used corev1.Secret
	if err := f.Platform.Client().Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent-" + id}, &stored); err != nil {
		t.Fatal(err)
	}
	if err := f.Member(id).Client().Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent"}, &used); err != nil {
		t.Fatal(err)
	}
	if a, b := nkeyOf(t, stored.Data["agent.creds"]), nkeyOf(t, used.Data["agent.creds"]); a != b {
		t.Errorf("the platform has credentials of %s for %s, and its agent those of %s", a, id, b)
	}
	var pods corev1.PodList
	err := f.Member(id).Client().List(t.Context(), &pods, client.InNamespace(fleetv1.SystemNamespace), client.MatchingLabels{"app.kubernetes.io/name": "fairway-agent"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods of the agent on %s, error %v", len(pods.Items), id, err)
	}
	return identity{ID: cluster.Status.ID, NKey: nkeyOf(t, stored.Data["agent.creds"]), Agent: string(pods.Items[0].UID)}
}

func nkeyOf(t *testing.T, creds []byte) string {
	t.Helper()
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	return claims.Subject
}

func (s *seen) readEvents(t *testing.T, f *fleet.Fleet) {
	t.Helper()
	hub, err := f.Hub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range hub.Events(t.Context(), hubclient.EventQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			if stored := &page.Items[i]; !stored.Derived {
				s.take(stored.Cluster, &stored.Event)
			}
		}
	}
}

func (s *seen) take(cluster string, e *event.Event) {
	s.events[e.ID] = fmt.Sprintf("%s of %s, %s", e.Type, cluster, e.Subject)
	s.copies[e.ID]++
	if e.Epoch == "" { // the platform's own are not numbered
		return
	}
	of := life{cluster, e.Epoch}
	if s.numbers[of] == nil {
		s.numbers[of] = map[uint64]string{}
	}
	s.numbers[of][e.Sequence] = e.ID
}

func (s *seen) readChanges(t *testing.T, f *fleet.Fleet) {
	t.Helper()
	hub, err := f.Hub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range hub.Since(t.Context(), hubclient.ChangeQuery{Since: time.Now().Add(-time.Hour)}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			if c := &page.Items[i]; c.Sequence > 0 { // what the hub says by itself, as of silence, is another's to tell
				s.changes[fmt.Sprintf("%d %s %s %s %s", c.Sequence, c.Cluster, c.Kind, c.What, c.Object)]++
			}
		}
	}
}

// compareEvents: what was known is known, once, and of what happened meanwhile nothing is missing and nothing is twice.
func compareEvents(t *testing.T, before, after seen) {
	t.Helper()
	for id, what := range before.events {
		if after.events[id] != what {
			t.Errorf("%s: %s on the old platform, %q on the next", id, what, after.events[id])
		}
	}
	for id, n := range after.copies {
		if n != 1 {
			t.Errorf("%s (%s) is there %d times", id, after.events[id], n)
		}
	}
	for change, n := range before.changes {
		if after.changes[change] != n {
			t.Errorf("the history had %q %d times, and has it %d times", change, n, after.changes[change])
		}
	}
	for of, was := range before.numbers {
		now := after.numbers[of]
		for n := uint64(1); n <= uint64(len(now)); n++ {
			if now[n] == "" {
				t.Errorf("event %d of %s is missing, of %d", n, of.cluster, len(now))
			}
		}
		if len(now) <= len(was) {
			t.Errorf("%s told nothing since it had told %d events: its agent began anew, or is not heard", of.cluster, len(was))
		}
		t.Logf("%s: %d events before, %d after, none missing", of.cluster, len(was), len(now))
	}
	t.Logf("%d events and %d changes before, %d and %d after", len(before.events), len(before.changes), len(after.events), len(after.changes))
}

// withoutOwners makes an object of one platform one of another: an owner that is not there would have it deleted.
func withoutOwners(t *testing.T, manifest string) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(manifest), &object); err != nil {
		t.Fatal(err)
	}
	meta := object["metadata"].(map[string]any)
	object["metadata"] = map[string]any{"name": meta["name"], "namespace": meta["namespace"], "labels": meta["labels"]}
	out, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

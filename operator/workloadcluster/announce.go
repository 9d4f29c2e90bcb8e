package workloadcluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/steps"
)

const (
	announceTimeout = 5 * time.Second
	announceRetry   = 10 * time.Second
)

// announcements remembers what was last said of each cluster, so that the bus hears of changes
// only, and of every cluster once after the operator has started. It is safe for concurrent use.
type announcements struct {
	mu   sync.Mutex
	last map[string][sha256.Size]byte
}

func (a *announcements) said(id string, what [sha256.Size]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.last[id]
	return ok && last == what
}

func (a *announcements) note(id string, what [sha256.Size]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[string][sha256.Size]byte{}
	}
	a.last[id] = what
}

func (a *announcements) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, id)
}

// announce tells the fleet what the platform knows of a cluster, when that has changed. It returns
// when to try again; zero when it was said.
func (r *Reconciler) announce(ctx context.Context, obj *fleetv1.WorkloadCluster) time.Duration {
	e, err := announcement(event.ClusterRegistered, registration(obj), r.Clock.Now())
	what := sha256.Sum256(e.Data)
	if err == nil && r.announced.said(obj.ID(), what) {
		return 0
	}
	if err == nil {
		err = r.say(ctx, e)
	}
	if err != nil {
		// Not an error of this cluster: it is working, only nobody hears of it yet.
		log.FromContext(ctx).V(1).Info("cannot announce the cluster; trying again", "reason", err.Error())
		return steps.Jitter(announceRetry)
	}
	r.announced.note(obj.ID(), what)
	return 0
}

func (r *Reconciler) say(ctx context.Context, e event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	return r.Announcer.Announce(ctx, e)
}

// registration is the platform's full state of a cluster. Steps that are not wanted are left out:
// a reader would wait for them.
func registration(obj *fleetv1.WorkloadCluster) event.Registration {
	cloud := merge(obj.Spec.Cloud, obj.Status.Cloud)
	out := event.Registration{
		Cluster: obj.ID(), Namespace: obj.Namespace, Environment: obj.Spec.Environment,
		Cloud: cloud.Provider, Region: cloud.Region, Account: cloud.Account,
		Mode: string(obj.Spec.Mode), Suspended: obj.Spec.Suspend,
	}
	for _, name := range append(stepConditions[:len(stepConditions):len(stepConditions)], fleetv1.ConditionConfigWritten) {
		c := apimeta.FindStatusCondition(obj.Status.Conditions, name)
		if c == nil || c.Reason == fleetv1.ReasonObserveOnly {
			continue
		}
		out.Conditions = append(out.Conditions, event.Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: cut(c.Message), Since: c.LastTransitionTime.UTC(),
		})
	}
	return out
}

func announcement(typ event.Type, r event.Registration, now time.Time) (event.Event, error) {
	object := event.Object{Kind: "WorkloadCluster", Namespace: r.Namespace, Name: r.Cluster}
	e, err := event.New(event.Platform, typ, object, now, r)
	if err != nil {
		return event.Event{}, fmt.Errorf("make event: %w", err)
	}
	e.Environment, e.Cloud, e.Region = r.Environment, r.Cloud, r.Region
	return e, nil
}

func cut(text string) string {
	if len(text) > event.MaxMessage {
		return strings.ToValidUTF8(text[:event.MaxMessage], "")
	}
	return text
}

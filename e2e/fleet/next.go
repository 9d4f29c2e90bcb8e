package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
)

// Next starts a platform that is to take this one's place: Cluster API and Fairway are installed, nothing of Fairway runs,
// and nothing is on it yet. hubVolume is its hub's volume, as in Options. The result is the same fleet as seen from there;
// Down of this one ends both.
func (f *Fleet) Next(ctx context.Context, name, hubVolume string) (*Fleet, error) {
	f.say("starting the next platform cluster, %s", name)
	platform, err := f.run.StartNextPlatform(ctx, f.Platform, kube.Options{Name: name, Publish: []string{eventsService, hubService}, Volumes: true})
	if err != nil {
		return nil, err
	}
	next := &Fleet{
		Dir: f.Dir, Platform: platform, DecisionTTL: f.DecisionTTL, EventsURL: f.EventsURL, HubURL: "https://" + platform.Published(hubService),
		options: f.options, run: f.run, config: f.config, acquired: f.acquired, progress: f.progress, events: f.events,
	}
	next.options.HubVolume = hubVolume
	if err := next.applyManifests(ctx); err != nil {
		return nil, err
	}
	if err := next.Scale(ctx, 0); err != nil {
		return nil, err
	}
	if f.acquired != nil {
		err = platform.AllowEgress(hostOf(f.acquired.Server))
	}
	return next, err
}

// scaled is what runs of Fairway on a platform, in the order in which it is stopped.
var scaled = []string{"deployment/fairway-operator", "statefulset/fairway-hub"}

// Scale sets how many of the operator and of the hub run, of a fleet with a HubVolume, and waits until none does when it is 0.
func (f *Fleet) Scale(ctx context.Context, replicas int) error {
	for _, what := range scaled {
		_, err := f.Platform.Kubectl(ctx, "scale", "-n", fleetv1.SystemNamespace, what, fmt.Sprintf("--replicas=%d", replicas))
		if err != nil {
			return err
		}
	}
	if replicas > 0 {
		return nil
	}
	return Await(ctx, time.Minute, "nothing of Fairway runs on "+f.Platform.Name, func(ctx context.Context) (bool, string) {
		var pods corev1.PodList
		if err := f.Platform.Client().List(ctx, &pods, client.InNamespace(fleetv1.SystemNamespace)); err != nil {
			return false, err.Error()
		}
		return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items))
	})
}

// MoveClouds makes the clouds' providers work for this platform.
func (f *Fleet) MoveClouds(ctx context.Context) error { return f.Platform.MoveClouds(ctx) }

// EventsAddress is where this platform's event bus listens, host:port.
func (f *Fleet) EventsAddress() string { return f.Platform.Published(eventsService) }

// AwaitReady waits until every cluster is Ready, on the platform and in the fleet view.
func (f *Fleet) AwaitReady(ctx context.Context) error {
	f.registered = time.Now()
	if err := f.awaitReady(ctx); err != nil {
		return errors.Join(err, fmt.Errorf("logs of every process and container are in %s", f.Dir))
	}
	return nil
}

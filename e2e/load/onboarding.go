package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

const (
	onboardingBar   = 30 // seconds
	onboardingLimit = 3 * time.Minute
)

// onboarding is how long a new cluster takes on each cloud, from the apply of its Cluster API objects to AgentConnected: a real control
// plane, real Flux and the real agent behind a stand-in for the cloud, one cluster at a time, in a fleet that is up.
func onboarding(ctx context.Context, b *bench) (_ []Result, err error) {
	b.say("bringing up a whole fleet")
	f, err := fleet.Up(ctx, fleet.Options{Name: "bench", Progress: b.progress, Clusters: []string{fleet.AWS}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Down()) }()
	var out []Result
	for _, cloud := range []string{"AWS", "Azure"} {
		took, err := onboard(ctx, f, cloud, "bench-"+strings.ToLower(cloud))
		if err != nil {
			return out, err
		}
		b.say("%s: AgentConnected after %s", cloud, took.Round(100*time.Millisecond))
		out = append(out, atMost("from apply to AgentConnected on "+cloud, took.Seconds(), "s", onboardingBar))
	}
	return out, nil
}

func onboard(ctx context.Context, f *fleet.Fleet, cloud, id string) (time.Duration, error) {
	if _, err := f.Commit(ctx, "make room for "+id, fleet.ClusterFiles(id, fleet.Artifact)); err != nil {
		return 0, err
	}
	began := time.Now()
	objects, err := f.Provision(ctx, cloud, id, "dev")
	if err != nil {
		return 0, err
	}
	err = wait(ctx, id+" to have its agent connected", onboardingLimit, func(ctx context.Context) error {
		obj := &fleetv1.WorkloadCluster{}
		if err := f.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
			return fmt.Errorf("get WorkloadCluster: %w", err)
		}
		if !apimeta.IsStatusConditionTrue(obj.Status.Conditions, fleetv1.ConditionAgentConnected) {
			return errors.New(shown(obj))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, f.Deprovision(ctx, id, objects)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairway-dev/fairway/e2e/load/members"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

const (
	writesBar         = 1.0  // a minute
	operatorMemoryBar = 64.0 // KiB
	healthyBar        = 1.25
	fewClusters       = 20
	steadyInterval    = 5 * time.Minute // between two passes over a cluster that needs nothing
	passesShare       = 0.2             // of the clusters have a pass while idle clusters are measured, at least: a minute's share at one every 5
	passesLimit       = 7 * time.Minute
	laterOneIn        = 20               // of those that hang say their version first: few are looked at at a time, for 15 s each
	darkFor           = 75 * time.Second // that the operator has at least to find that clusters hang: heartbeats are missed after 45 s
)

// operator measures what the real operator takes for a fleet of clusters that need nothing, and what the others notice when 40% of
// them accept connections and never answer.
func operator(ctx context.Context, b *bench) (_ []Result, err error) {
	f, err := newWholeFleet(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	all := f.agents.Clusters
	few := min(fewClusters, len(all)/2)
	if err := f.join(ctx, all[:few]); err != nil {
		return nil, err
	}
	before, err := f.working(ctx, all[:few])
	if err != nil {
		return nil, err
	}
	if err := f.join(ctx, all[few:]); err != nil {
		return nil, err
	}
	dark, err := f.hanging(ctx, all)
	if err != nil {
		return nil, err
	}
	idle, err := f.idle(ctx, all, few, before)
	return append(idle, dark...), err
}

// working is the operator's resident memory, in bytes, while a few clusters have as many passes together as all have that need nothing: what
// a pass leaves to be collected is in both figures.
func (f *wholeFleet) working(ctx context.Context, few []*sim.Cluster) (float64, error) {
	r, err := f.watchReconciles(ctx)
	if err != nil {
		return 0, err
	}
	defer r.stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := r.measure(ctx, ids(few), steadyInterval/time.Duration(f.bench.size.clusters), 2*f.bench.size.lasting)
		return err
	})
	var resident float64
	group.Go(func() error {
		var err error
		resident, err = f.resident(ctx, 2*f.bench.size.lasting)
		return err
	})
	return resident, group.Wait()
}

func ids(clusters []*sim.Cluster) []string {
	var out []string
	for _, c := range clusters {
		out = append(out, c.ID)
	}
	return out
}

// hanging compares passes over healthy clusters without and with 40% that hang.
func (f *wholeFleet) hanging(ctx context.Context, all []*sim.Cluster) ([]Result, error) {
	if err := f.awaitRest(ctx); err != nil {
		return nil, err
	}
	gone := all[:int(darkShare*float64(len(all)))]
	silent, well := ids(gone), ids(all[len(gone):])
	r, err := f.watchReconciles(ctx)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	began := time.Now()
	before, err := r.measure(ctx, well, askEvery, 4*f.bench.size.lasting)
	if err != nil {
		return nil, err
	}
	f.bench.say("passes: %s; the slowest: %s", spread(took(before)), slowest(before, began))
	later := silent[:(len(silent)+laterOneIn-1)/laterOneIn]
	f.bench.say("%d of %d clusters hang, %d of them once they have said their version", len(gone), len(all), len(later))
	f.members.Hang(members.HangsAtFirst, silent...)
	f.members.Hang(members.HangsLater, later...)
	for _, c := range gone {
		c.Network.Cut()
	}
	began = time.Now()
	beside, err := r.measure(ctx, well, askEvery, max(darkFor, 4*f.bench.size.lasting))
	f.bench.say("passes over the others: %s; the slowest: %s", spread(took(beside)), slowest(beside, began))
	if err != nil {
		return nil, err
	}
	if err := f.awaitAway(ctx, silent); err != nil {
		return nil, err
	}
	f.members.Hang(members.Answers, silent...)
	for _, c := range gone {
		c.Network.Heal()
	}
	began = time.Now()
	if err := f.awaitReady(ctx, all); err != nil {
		return nil, err
	}
	f.bench.say("all are Ready again after %s", time.Since(began).Round(time.Second))
	light, heavy := took(before), took(beside)
	return []Result{
		delayAtMost("40% of clusters hang: a pass over one of the others, p50", quantile(heavy, 0.5), quantile(light, 0.5), healthyBar),
		delayAtMost("40% of clusters hang: a pass over one of the others, p99", quantile(heavy, 0.99), quantile(light, 0.99), healthyBar),
	}, nil
}

// spread tells how long passes took.
func spread(took []float64) string {
	return fmt.Sprintf("%d took p50 %.0f ms, p90 %.0f, p99 %.0f", len(took), quantile(took, 0.5), quantile(took, 0.9), quantile(took, 0.99))
}

// restLimit is for the operator to have done what it has to.
const restLimit = 5 * time.Minute

// awaitRest waits until the operator works on next to nothing for some seconds: what a fleet that has just joined leaves to be done is
// no part of what is compared.
func (f *wholeFleet) awaitRest(ctx context.Context) error {
	const few, seconds = 2, 5
	resting := 0
	return waitEvery(ctx, time.Second, "the operator to have done its work", restLimit, func(ctx context.Context) error {
		own, err := f.operator.Metrics(ctx)
		if err != nil {
			return err
		}
		ofClusters := func(labels string) bool { return strings.Contains(labels, `controller="workloadcluster"`) }
		working, err := own.Sum("controller_runtime_active_workers", ofClusters)
		if err != nil {
			return err
		}
		if resting++; working > few {
			resting = 0
		}
		if resting < seconds {
			return fmt.Errorf("%.0f clusters are worked on", working)
		}
		return nil
	})
}

// idle measures what clusters take that need nothing.
func (f *wholeFleet) idle(ctx context.Context, all []*sim.Cluster, few int, before float64) ([]Result, error) {
	from, err := f.used(ctx)
	if err != nil {
		return nil, err
	}
	var after float64
	err = waitEvery(ctx, 0, "enough clusters to have a pass", passesLimit, func(ctx context.Context) error {
		if after, err = f.resident(ctx, 2*f.bench.size.lasting); err != nil {
			return err
		}
		now, err := f.used(ctx)
		if passes := now.since(from).passes; err == nil && passes < passesShare*float64(len(all)) {
			err = fmt.Errorf("%.0f passes were made", passes)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	to, err := f.used(ctx)
	if err != nil {
		return nil, err
	}
	n := float64(len(all))
	minutes := to.at.Sub(from.at).Minutes()
	u := to.since(from)
	f.bench.say("in %.1f minutes: %.0f passes, %s of CPU, %.0f reads and %.0f writes of the platform's API, %+v of the members'",
		minutes, u.passes, u.cpu, u.reads, u.writes, u.calls)
	f.bench.say("operator %.1f MiB with %d clusters, %.1f MiB with %d; its heap is collected at %.1f MiB", before/mebibyte, few, after/mebibyte, len(all), to.heap/mebibyte)
	return []Result{
		atMost("writes to the platform's API a minute for an idle cluster", u.writes/n/minutes, "writes", writesBar),
		atMost("watches that the platform holds on clusters", float64(f.members.Calls().Watches), "watches", 0),
		figure("calls to an idle cluster's API a minute", float64(u.calls.All())/n/minutes, "calls"),
		figure("the operator's CPU for an idle cluster", float64(u.cpu.Milliseconds())/n/minutes, "ms/min"),
		atMost(fmt.Sprintf("operator memory for an idle cluster, %d beside %d", len(all), few), (after-before)/1024/(n-float64(few)), "KiB", operatorMemoryBar),
	}, nil
}

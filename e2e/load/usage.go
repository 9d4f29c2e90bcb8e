package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/e2e/load/members"
	"github.com/fairway-dev/fairway/e2e/load/platform"
)

// usage is what was used up to a moment.
type usage struct {
	at     time.Time
	cpu    time.Duration // of the operator
	passes float64       // over WorkloadClusters
	reads  float64       // of the platform's API
	writes float64       // to the platform's API, but for leases
	calls  members.Calls // of the members' APIs
	heap   float64       // bytes that the operator's heap may come to before it is collected
}

// since is what was used after before.
func (u usage) since(before usage) usage {
	u.cpu, u.passes, u.reads, u.writes = u.cpu-before.cpu, u.passes-before.passes, u.reads-before.reads, u.writes-before.writes
	u.calls = u.calls.Since(before.calls)
	return u
}

// used reads the counters of the operator, the platform's API server and the members.
func (f *wholeFleet) used(ctx context.Context) (u usage, err error) {
	own, err := f.operator.Metrics(ctx)
	if err != nil {
		return usage{}, err
	}
	if u.passes, err = own.Sum("controller_runtime_reconcile_total", func(labels string) bool { return strings.Contains(labels, `controller="workloadcluster"`) }); err != nil {
		return usage{}, err
	}
	if u.heap, err = own.Value("go_memstats_next_gc_bytes"); err != nil {
		return usage{}, err
	}
	api, err := f.apiMetrics(ctx)
	if err != nil {
		return usage{}, err
	}
	if u.writes, err = api.Sum("apiserver_request_total", writesOf); err != nil {
		return usage{}, err
	}
	if u.reads, err = api.Sum("apiserver_request_total", func(labels string) bool { return !writesOf(labels) }); err != nil {
		return usage{}, err
	}
	u.cpu, err = platform.CPUOf(f.operator.PID())
	u.calls, u.at = f.members.Calls(), time.Now()
	return u, err
}

// writesOf says whether requests with these labels write. Leases are held by processes, not by clusters; reviews store nothing.
func writesOf(labels string) bool {
	has := func(name, value string) bool { return strings.Contains(labels, name+`="`+value+`"`) }
	writes := slices.ContainsFunc([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE"}, func(verb string) bool { return has("verb", verb) })
	return writes && !has("resource", "leases") && !has("group", "authentication.k8s.io") && !has("group", "authorization.k8s.io")
}

func (f *wholeFleet) apiMetrics(ctx context.Context) (platform.Metrics, error) {
	caller, err := rest.HTTPClientFor(f.platform.Kube.Config())
	if err != nil {
		return "", fmt.Errorf("make a client of the platform: %w", err)
	}
	defer caller.CloseIdleConnections()
	return platform.ReadMetrics(ctx, caller, f.platform.Kube.Server)
}

// resident is the median of the operator's resident memory over a while, in bytes, read every second.
func (f *wholeFleet) resident(ctx context.Context, lasting time.Duration) (float64, error) {
	var values []float64
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		m, err := platform.MemoryOf(f.operator.PID())
		if err != nil {
			return 0, err
		}
		values = append(values, float64(m.Resident))
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
	}
	if len(values) == 0 {
		return 0, errors.New("nothing was measured")
	}
	return median(values), nil
}

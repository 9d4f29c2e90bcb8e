package platform

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/operator/install"
)

// Operator is an operator process, with the rights that it is deployed with.
type Operator struct {
	Health, Profile, metrics string // http://127.0.0.1:port
	process                  *process.Process
}

// Install applies Fairway's own manifests, as `fairway install --export` prints them.
func (p *Platform) Install(ctx context.Context) error {
	manifests, err := install.Manifests(install.Options{Version: "bench", EventsURL: "tls://127.0.0.1:4222"})
	if err != nil {
		return err
	}
	return p.Kube.ApplyYAML(ctx, manifests)
}

// StartOperator starts the operator as its Deployment does, and returns when it is ready. The event bus is at bus, tls://host:port.
func (p *Platform) StartOperator(ctx context.Context, bus string) (*Operator, error) {
	var addresses [3]string
	for i := range addresses {
		free, err := FreeAddress()
		if err != nil {
			return nil, err
		}
		addresses[i] = free
	}
	kubeconfig, err := p.Kube.UserKubeconfig("system:serviceaccount:fairway-system:fairway-operator",
		"system:serviceaccounts", "system:serviceaccounts:fairway-system", "system:authenticated")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(p.Dir, "operator.kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("write the operator's kubeconfig: %w", err)
	}
	o := &Operator{Health: "http://" + addresses[0], Profile: "http://" + addresses[2] + "/debug/pprof", metrics: "http://" + addresses[1]}
	o.process, err = p.Supervisor.Start(ctx, process.Spec{
		Name: "operator", Path: p.Tools.File(tools.Fairway, "operator"), Ready: process.HTTP(o.Health + "/readyz"), Limit: time.Minute,
		Args: []string{"--kubeconfig", path, "--agent-image", "ghcr.io/fairway-dev/agent:bench", "--events-url", bus, "--leader-elect",
			"--health", addresses[0], "--metrics", addresses[1], "--profile", addresses[2]},
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// PID of the process.
func (o *Operator) PID() int { return o.process.PID() }

// Metrics are the operator's own.
func (o *Operator) Metrics(ctx context.Context) (Metrics, error) {
	return ReadMetrics(ctx, http.DefaultClient, o.metrics)
}

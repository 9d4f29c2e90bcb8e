package platform

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/natsauth"
	"github.com/fairway-dev/fairway/operator/pki"
)

// Hub is a hub process. Its addresses and its files stay the same when it is started again.
type Hub struct {
	Keys   *natsauth.Keys // of its event bus, to make users with
	CA     []byte         // PEM, of the event bus and of the API
	Bus    string         // tls://127.0.0.1:port
	API    string         // https://127.0.0.1:port
	Health string         // http://127.0.0.1:port

	platform *Platform
	spec     process.Spec
	secret   string // folder of its Secret
	creds    []byte // the hub's own user
	process  *process.Process
}

// readyLimit is how long a hub may take to read the stream.
const readyLimit = 3 * time.Minute

// NewHub writes all that a hub needs; Start starts it. args are added to the hub's own.
func (p *Platform) NewHub(name string, args ...string) (*Hub, error) {
	bus, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	h, err := p.newHub(name, bus, args)
	if err != nil {
		return nil, err
	}
	return h, h.makeSecret()
}

// NewHubOf is NewHub with the data of the Secret that an operator has made. Keys are that one's. The event bus listens on bus, host:port.
func (p *Platform) NewHubOf(name, bus string, secret map[string][]byte) (*Hub, error) {
	h, err := p.newHub(name, bus, nil)
	if err != nil {
		return nil, err
	}
	h.CA, h.creds = secret["ca.crt"], secret["hub.creds"]
	return h, writeFiles(h.secret, secret)
}

func (p *Platform) newHub(name, bus string, args []string) (*Hub, error) {
	addresses := [3]string{bus}
	for i := range addresses[1:] {
		free, err := FreeAddress()
		if err != nil {
			return nil, err
		}
		addresses[1+i] = free
	}
	dir := filepath.Join(p.Dir, name)
	h := &Hub{platform: p, Bus: "tls://" + addresses[0], API: "https://" + addresses[1], Health: "http://" + addresses[2], secret: filepath.Join(dir, "secret")}
	h.spec = process.Spec{
		Name: name, Path: p.Tools.File(tools.Fairway, "hub"), Ready: process.HTTP(h.Health + "/readyz"), Limit: readyLimit,
		Args: append([]string{
			"--config-dir", h.secret, "--store-dir", filepath.Join(dir, "store"), "--kubeconfig", p.Kube.Kubeconfig,
			"--nats-listen", addresses[0], "--listen", addresses[1], "--health", addresses[2],
		}, args...),
	}
	return h, nil
}

// makeSecret writes the folder as the operator writes the Secret.
func (h *Hub) makeSecret() error {
	var err error
	if h.Keys, err = natsauth.NewKeys(); err != nil {
		return err
	}
	tokens, err := h.Keys.Server(nil)
	if err != nil {
		return err
	}
	user, err := h.Keys.Hub()
	if err != nil {
		return err
	}
	ca, key, err := pki.NewAuthority(time.Now())
	if err != nil {
		return err
	}
	cert, certKey, err := pki.Serving(ca, key, []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		return err
	}
	h.CA, h.creds = ca, user.Creds
	return writeFiles(h.secret, map[string][]byte{
		"operator.jwt": []byte(tokens.OperatorJWT), "account.jwt": []byte(tokens.AccountJWT), "system.jwt": []byte(tokens.SystemJWT),
		"hub.creds": user.Creds, "ca.crt": ca, "tls.crt": cert, "tls.key": certKey,
	})
}

// Start starts the process and returns when it is ready: it has read the whole stream.
func (h *Hub) Start(ctx context.Context) (err error) {
	h.process, err = h.platform.Supervisor.Start(ctx, h.spec)
	return err
}

// Stop ends the process as Kubernetes does: TERM, then KILL.
func (h *Hub) Stop() error { return h.process.Stop() }

// Kill ends the process at once.
func (h *Hub) Kill() error { return h.process.Kill() }

// Process is the newest that was started.
func (h *Hub) Process() *process.Process { return h.process }

// Connect connects to its event bus with the hub's own rights.
func (h *Hub) Connect(ctx context.Context) (*bus.Conn, error) {
	return bus.Connect(ctx, h.BusOptions())
}

// BusOptions are those of a connection with the hub's own rights.
func (h *Hub) BusOptions() bus.Options {
	return bus.Options{URL: h.Bus, Name: "bench", Creds: h.creds, CA: h.CA}
}

// Client calls the API as the cluster's administrator.
func (h *Hub) Client() (*client.Client, error) {
	return client.New(h.API, client.Options{Credentials: h.platform.Kube.Config(), CA: h.CA})
}

// Memory is what /proc says of the process now.
func (h *Hub) Memory() (Memory, error) { return MemoryOf(h.process.PID()) }

// Metric is the value of one of the hub's metrics, named as in /metrics, with its labels.
func (h *Hub) Metric(ctx context.Context, name string) (float64, error) {
	read, err := ReadMetrics(ctx, http.DefaultClient, h.Health)
	if err != nil {
		return 0, err
	}
	return read.Value(name)
}

// Collected waits until the process has collected its garbage after a moment. It asks seldom: the metrics of a thousand
// clusters are work, and a hub that has work saves no memory.
func (h *Hub) Collected(ctx context.Context, after time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, collectLimit)
	defer cancel()
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a collection of the hub's garbage, %s at most: %w", collectLimit, ctx.Err())
		case <-tick.C:
		}
		last, err := h.Metric(ctx, "go_memstats_last_gc_time_seconds")
		if err != nil {
			return err
		}
		if last > float64(after.UnixNano())/1e9 {
			return nil
		}
	}
}

const (
	collectLimit = 3 * time.Minute // Go does it every two minutes at least
	collectEvery = 15 * time.Second
)

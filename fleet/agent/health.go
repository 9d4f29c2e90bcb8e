package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/outbox"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// Channels of the bus that fail and work on their own.
const (
	channelEvents     = "events"
	channelHeartbeats = "heartbeats"
	channelBus        = "event bus"
)

// partOutbox is what fails when the outbox's disk does.
const partOutbox = "outbox"

// stuckAfter without a turn of the loop, the process is not alive.
const stuckAfter = 2 * time.Minute

// quietFor is how long the same complaint is not logged again.
const quietFor = time.Minute

// health is what is wrong at this moment, for /readyz, the log and the metrics.
type health struct {
	log    *slog.Logger
	denied func(error) bool
	turn   atomic.Int64 // of the loop, Unix nanoseconds
	*metrics

	mu        sync.Mutex
	connected bool
	waiting   map[string]bool      // kinds whose list is not there yet
	problems  map[string]string    // what fails -> how
	logged    map[string]time.Time // complaint -> when it was logged
}

func newHealth(log *slog.Logger, box *outbox.Outbox, denied func(error) bool) *health {
	h := &health{
		log: log, denied: denied, metrics: newMetrics(box),
		waiting: map[string]bool{}, problems: map[string]string{}, logged: map[string]time.Time{},
	}
	for _, k := range kinds {
		if !k.optional {
			h.waiting[k.name] = true
		}
	}
	h.waiting["discovery"] = true
	h.alive()
	return h
}

func (h *health) alive() { h.turn.Store(time.Now().UnixNano()) }

func (h *health) setConnected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connected = true
	delete(h.problems, channelBus)
}

// busError takes what the bus says beside the calls.
func (h *health) busError(err error) { h.failed(channelBus, err) }

func (h *health) failed(channel string, err error) {
	if h.denied(err) {
		h.refused.Inc()
		h.complain("the event bus refuses it: the credentials are not this cluster's, or were revoked", channel, err)
	} else {
		if channel != channelBus {
			h.failures.WithLabelValues(channel).Inc()
		}
		h.complain("the event bus cannot be used", channel, err)
	}
}

func (h *health) published(kind event.Kind) {
	h.sent.WithLabelValues(string(kind)).Inc()
	h.works(channelEvents, channelBus)
}

// outbox takes how the last write of the outbox went.
func (h *health) outbox(err error) {
	if err == nil {
		h.works(partOutbox)
		return
	}
	h.complain("the outbox cannot be written: events wait in memory", partOutbox, err)
}

func (h *health) beaten() { h.works(channelHeartbeats, channelBus) }

func (h *health) watchFailed(kind string, err error) {
	h.watchFailures.WithLabelValues(kind).Inc()
	h.complain("the cluster cannot be watched", kind, err)
}

func (h *health) watchWorks(kind string) {
	h.mu.Lock()
	delete(h.waiting, kind)
	h.mu.Unlock()
	h.works(kind)
}

// complain remembers a problem and logs it, the same one at most once a minute.
func (h *health) complain(message, what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems[what] = message + ": " + err.Error()
	now, id := time.Now(), what+redact.Normalise(err.Error())
	if now.Sub(h.logged[id]) < quietFor {
		return
	}
	maps.DeleteFunc(h.logged, func(_ string, at time.Time) bool { return now.Sub(at) >= quietFor })
	h.logged[id] = now
	h.log.Error(message, "what", what, "error", err)
}

func (h *health) works(what ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range what {
		delete(h.problems, w)
	}
}

// reasons lists what keeps the agent from being ready.
func (h *health) reasons() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	if len(h.waiting) > 0 {
		out = append(out, "waiting for the first list of "+strings.Join(slices.Sorted(maps.Keys(h.waiting)), ", "))
	}
	if !h.connected {
		out = append(out, "not connected to the event bus yet")
	}
	for _, what := range slices.Sorted(maps.Keys(h.problems)) {
		out = append(out, what+": "+h.problems[what])
	}
	return out
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if since := time.Since(time.Unix(0, h.turn.Load())); since > stuckAfter {
			http.Error(w, fmt.Sprintf("no turn for %s", since.Round(time.Second)), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reasons := h.reasons(); len(reasons) > 0 {
			http.Error(w, strings.Join(reasons, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{}))
	return mux
}

// serve answers on the health address until ctx ends.
func (a *Agent) serve(ctx context.Context) error {
	if a.opts.Health == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.opts.Health)
	if err != nil {
		return fmt.Errorf("listen for health checks: %w", err)
	}
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve health checks: %w", err)
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), server.Close())
	}
}

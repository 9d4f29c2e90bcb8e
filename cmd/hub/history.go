package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fairway-dev/fairway/fleet/bus"
)

func (o *options) historyPath() string {
	return cmp.Or(o.history, filepath.Join(o.storeDir, "history.db"))
}

// openHistory opens the history for the stream that is there, gives the view its newest checkpoint, and
// says where in the stream the view goes on. A hub whose history cannot be opened serves the present
// without it, says so, and tries again.
func (h *hub) openHistory(ctx context.Context) (from bus.Start, err error) {
	if err := os.MkdirAll(filepath.Dir(h.options.historyPath()), 0o755); err != nil {
		return from, fmt.Errorf("make the history's folder: %w", err)
	}
	stream, err := h.bus.State(ctx)
	if err != nil {
		return from, err
	}
	if h.options.replicas() {
		h.fetchHistory(ctx, stream)
	}
	replaced, err := h.history.Open(ctx, stream)
	if err != nil {
		h.log.Error(err, "history cannot be opened; going on without it", "file", h.options.historyPath())
		return from, nil
	}
	if replaced {
		h.log.Info("the event stream is another one than the history has seen: reading it from its beginning", "created", stream.Created)
	}
	sequence, err := h.history.Restore(ctx, h.view)
	if err != nil {
		h.log.Error(err, "the view has no checkpoint; reading the whole stream")
	}
	if sequence > 0 {
		from.Sequence = sequence + 1
	}
	h.log.Info("history is open", "file", h.options.historyPath(), "position", h.history.Position(), "checkpoint", sequence)
	return from, nil
}

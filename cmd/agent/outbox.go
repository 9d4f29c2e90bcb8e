package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fairway-dev/fairway/fleet/outbox"
)

// openOutbox opens the file of the process before, or begins a new one.
func openOutbox(s settings, logger *slog.Logger) (*outbox.Outbox, error) {
	if err := os.MkdirAll(s.outboxDir, 0o700); err != nil {
		return nil, fmt.Errorf("make outbox folder: %w", err)
	}
	o := s.outbox
	o.Path, o.Logger = filepath.Join(s.outboxDir, "outbox.db"), logger
	o.Cluster, o.Environment, o.Cloud, o.Region = s.options.Cluster, s.options.Environment, s.options.Cloud, s.options.Region
	return outbox.Open(o)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/fleet/bus"
)

const (
	keepSnapshots   = 2
	snapshotLook    = time.Minute // between looks whether one is due
	snapshotWithin  = 10 * time.Minute
	snapshotsPrefix = "history-"
	fetchTries      = 3 // a peer may delete what is being fetched, and has left a newer one then
)

// replicas says whether there may be other replicas of this hub: on a bus of its own it is alone.
func (o *options) replicas() bool { return o.natsURL != "" && o.snapshotEvery > 0 }

// ofStream begins the names of the snapshots of one stream.
func ofStream(s bus.State) string { return fmt.Sprintf("%s%d-", snapshotsPrefix, s.Created.UnixNano()) }

// fetchHistory gives a new replica the newest history that a peer left, unless it has one. That it does
// not is no error: then the history begins with the stream.
func (h *hub) fetchHistory(ctx context.Context, stream bus.State) {
	file := h.options.historyPath()
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
	defer cancel()
	var name string
	var err error
	for range fetchTries {
		if name, err = h.newestSnapshot(ctx, stream); err == nil && name != "" {
			err = h.download(ctx, name, file)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case err != nil:
		h.log.Error(err, "cannot fetch a history that another replica left; reading the stream")
	case name != "":
		h.log.Info("history fetched, which another replica left", "snapshot", name)
	}
}

func (h *hub) newestSnapshot(ctx context.Context, stream bus.State) (name string, err error) {
	have, err := h.bus.Snapshots(ctx)
	for _, s := range have {
		if strings.HasPrefix(s.Name, ofStream(stream)) {
			return s.Name, nil
		}
	}
	return "", err
}

// download writes the snapshot to a file beside the one that it becomes when it is whole.
func (h *hub) download(ctx context.Context, name, file string) error {
	part := file + ".part"
	out, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("fetch history: %w", err)
	}
	err = h.bus.GetSnapshot(ctx, name, out)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, file)
}

// leaveSnapshots leaves the history for new replicas, whenever the newest that anybody left is too old.
func (h *hub) leaveSnapshots(ctx context.Context) error {
	tick := time.NewTicker(min(snapshotLook, h.options.snapshotEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if h.caughtUp() != nil || h.history.Health() != nil {
			continue
		}
		if err := h.leaveSnapshot(ctx); err != nil && ctx.Err() == nil {
			h.log.Error(err, "cannot leave the history for other replicas")
		}
	}
}

func (h *hub) leaveSnapshot(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
	defer cancel()
	stream, err := h.bus.State(ctx)
	if err != nil {
		return err
	}
	have, err := h.bus.Snapshots(ctx)
	if err != nil || len(have) > 0 && time.Since(have[0].Stored) < h.options.snapshotEvery {
		return err
	}
	file := h.options.historyPath() + ".snapshot"
	position := h.history.Position()
	if err := h.history.Snapshot(ctx, file); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("leave history: %w", err)
	}
	defer in.Close()
	return h.bus.PutSnapshot(ctx, fmt.Sprintf("%s%020d", ofStream(stream), position), in, keepSnapshots, h.options.busReplicas)
}

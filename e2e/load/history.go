package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

// readIntoHistory is what the hub does with its history: a new file, which has every event when it returns.
func readIntoHistory(ctx context.Context, s *testServer, n size) (err error) {
	dir, err := os.MkdirTemp("", "fairway-bench-")
	if err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	conn, err := bus.Connect(ctx, s.options())
	if err != nil {
		return err
	}
	defer conn.Close()
	h := history.New(history.Options{Path: filepath.Join(dir, "history.db"), Log: logr.Discard()})
	stream, err := conn.State(ctx)
	if err != nil {
		return err
	}
	if _, err := h.Open(ctx, stream); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- h.Run(ctx, conn) }()
	go func() { ended <- feed(ctx, conn, h) }()
	err = reached(ctx, h, uint64(n.events))
	cancel()
	for range 2 {
		if failed := <-ended; err == nil {
			err = failed
		}
	}
	if err == nil && h.Stats().Rows != int64(n.events) {
		err = fmt.Errorf("the history has %d rows, want %d", h.Stats().Rows, n.events)
	}
	return err
}

// feed follows the stream into a view and the history.
func feed(ctx context.Context, conn *bus.Conn, h *history.History) error {
	v := view.New(view.Options{})
	return conn.Follow(ctx, bus.Start{}, func(m bus.Message) {
		e, err := event.Decode(m.Data)
		if err != nil {
			v.Reject(m.Subject.Cluster, err)
			return
		}
		r := view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: &e}
		v.Apply(r)
		h.Add(ctx, history.Record{Record: r, Data: m.Data})
		if err := h.Checkpoint(ctx, v); err != nil {
			v.Reject(m.Subject.Cluster, err)
		}
	}, v.Reject)
}

// reached waits until the history has the stream up to a position.
func reached(ctx context.Context, h *history.History, position uint64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for h.Stats().Position < position {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

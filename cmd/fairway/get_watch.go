package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

const (
	settle  = 300 * time.Millisecond // after an event, so that what comes together is listed once
	refresh = 5 * time.Second        // without one: silence makes no event
)

func (l *list) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&l.watch, "watch", "w", false, "Print lines again when they change, until interrupted")
}

// follow lists again on every event, and from time to time, and prints the lines that changed.
func (l list) follow(cmd *cobra.Command, conn *connection, before document) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	h, err := conn.open(ctx)
	if err != nil {
		return err
	}
	changed, failed := make(chan struct{}, 1), make(chan error, 1)
	go func() { failed <- signalChanges(ctx, h, changed) }()
	wide := l.out.format == formatWide
	widths := before.table.widths(wide, true)
	for {
		select {
		case <-cmd.Context().Done():
			return nil // the user ended it
		case err := <-failed:
			if cmd.Context().Err() != nil {
				return nil
			}
			return err
		case <-changed:
			<-time.After(settle)
		case <-time.After(refresh):
		}
		after, err := l.reload(ctx, conn)
		if err != nil {
			if cmd.Context().Err() != nil {
				return nil
			}
			caution(cmd.ErrOrStderr(), "%v", err)
			continue
		}
		news := table{columns: after.table.columns, rows: difference(before.table.rows, after.table.rows)}
		if err := news.writeRows(cmd.OutOrStdout(), l.sh, wide, false, widths); err != nil {
			return fmt.Errorf("print list: %w", err)
		}
		before = after
	}
}

func (l list) reload(ctx context.Context, conn *connection) (document, error) {
	ctx, cancel := conn.bound(ctx)
	defer cancel()
	return l.load(ctx)
}

// signalChanges tells of every event, of several that nobody waited for once.
func signalChanges(ctx context.Context, h watcher, changed chan<- struct{}) error {
	for update, err := range h.Watch(ctx, 0, client.EventQuery{}) {
		if err != nil {
			return err
		}
		if _, broken := update.(client.Disconnected); broken {
			continue
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	return ctx.Err()
}

// difference is the rows of after that are new or say something else, ages aside.
func difference(before, after []row) []row {
	was := map[string]row{}
	for _, r := range before {
		was[r.key] = r
	}
	var out []row
	for _, r := range after {
		if !slices.EqualFunc(was[r.key].cells, r.cells, func(a, b cell) bool { return a.live && b.live || a.text == b.text }) {
			out = append(out, r)
		}
	}
	return out
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type watcher interface {
	Watch(ctx context.Context, from uint64, q client.EventQuery) iter.Seq2[client.Update, error]
}

type eventReader interface {
	watcher
	Events(ctx context.Context, q client.EventQuery) iter.Seq2[*client.EventPage, error]
}

const defaultSince = "1h"

func newEvents(sh *shell, conn *connection, connect func(context.Context) (eventReader, error)) *cobra.Command {
	v := &eventsVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:     "events",
		Aliases: []string{"event", "ev"},
		Short:   "Show what happened, oldest first, and with -w what happens now",
		Long: `Show what happened, oldest first, and with -w what happens now. A failure comes with the last lines that its container
wrote. With -o json an event is a line, with -o yaml a document.`,
		Example: sh.examples("events --since 24h --kind episode", "events -w --cluster prod-aws-eu1",
			"events --team payments --since 2026-11-22T07:00:00Z -o json"),
		Args: cobra.NoArgs,
		RunE: v.run,
	}
	f := cmd.Flags()
	f.BoolVarP(&v.watch, "watch", "w", false, "Go on with what happens, until interrupted")
	f.StringVar(&v.since, "since", defaultSince, "Start: a length of time until now (90m, 24h, 7d), or a time (RFC 3339)")
	f.StringSliceVar(&v.kinds, "kind", nil, "Only these kinds: "+strings.Join(kindNames(), ", "))
	complete(cmd, "kind", kindNames)
	v.sel.addFlags(cmd, "cluster", "team", "environment")
	v.out.addFlags(cmd, formatTable, formatJSON, formatYAML)
	f.Lookup("no-headers").Hidden = true // events have none; accepted for scripts
	cmd.AddCommand(newCredentials(sh, conn, conn.eventBus))
	return cmd
}

type eventsVerb struct {
	sh      *shell
	conn    *connection
	connect func(context.Context) (eventReader, error)
	sel     selection
	out     output
	kinds   []string
	since   string
	chosen  []event.Kind // of kinds; empty: all
	watch   bool
}

func (v *eventsVerb) run(cmd *cobra.Command, _ []string) error {
	q, err := v.query()
	if err != nil {
		return err
	}
	print := v.chooser(v.printer(cmd.OutOrStdout()))
	h, last, err := v.past(cmd.Context(), q, print)
	if err != nil || !v.watch {
		return err
	}
	return v.follow(cmd, h, last, q, print)
}

// query is the flags as the hub takes them. It takes one kind only: of several, show chooses.
func (v *eventsVerb) query() (client.EventQuery, error) {
	since, err := parseSince(v.since, v.sh.now())
	if err != nil {
		return client.EventQuery{}, v.sh.usage("events", "--since: %w", err)
	}
	f := v.sel.filter(v.conn.team())
	q := client.EventQuery{Since: since, Cluster: f.Cluster, Environment: f.Environment, Team: f.Team}
	for _, name := range v.kinds {
		kind := event.Kind(strings.ToLower(name))
		if !kind.Known() {
			return q, v.sh.usage("events", "there is no kind %q; use %s", name, strings.Join(kindNames(), ", "))
		}
		v.chosen = append(v.chosen, kind)
	}
	if len(v.chosen) == 1 {
		q.Kind = v.chosen[0]
	}
	return q, nil
}

// past prints what the stream has, and gives the position that it reached.
func (v *eventsVerb) past(ctx context.Context, q client.EventQuery, print func(client.Event) error) (eventReader, uint64, error) {
	ctx, cancel := v.conn.bound(ctx)
	defer cancel()
	h, err := v.connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	var last uint64
	for page, err := range h.Events(ctx, q) {
		if err != nil {
			return nil, 0, err
		}
		for _, e := range page.Items {
			if err := print(e); err != nil {
				return nil, 0, err
			}
		}
		last = page.Sequence
	}
	return h, last, nil
}

// follow prints what happens. That the user ends it is how it ends well.
func (v *eventsVerb) follow(cmd *cobra.Command, h eventReader, from uint64, q client.EventQuery, print func(client.Event) error) error {
	stderr, broken := cmd.ErrOrStderr(), false
	hint(stderr, "watching; Ctrl-C ends it")
	for update, err := range h.Watch(cmd.Context(), from, q) {
		if err != nil {
			return err
		}
		switch u := update.(type) {
		case client.Stored:
			if err := print(u.Event); err != nil {
				return err
			}
		case client.Lagged:
			caution(stderr, "this reader was too slow for the hub, or the hub stops; going on after %d, nothing is missing", u.Sequence)
		case client.Reset:
			caution(stderr, "the events after %d are not kept any more: some are missing here", u.Sequence)
		case client.Disconnected:
			message, _ := explain(u.Err)
			caution(stderr, "%s; trying again in %s", message, u.Retry.Round(time.Second/10))
			broken = true
		case client.Connected:
			if broken {
				done(stderr, "connected again")
			}
			broken = false
		}
	}
	return nil
}

// chooser leaves out the kinds that were not asked for.
func (v *eventsVerb) chooser(print func(client.Event) error) func(client.Event) error {
	return func(e client.Event) error {
		if len(v.chosen) > 0 && !slices.Contains(v.chosen, e.Event.Type.Kind()) {
			return nil
		}
		return print(e)
	}
}

func (v *eventsVerb) printer(w io.Writer) func(client.Event) error {
	switch v.out.format {
	case formatJSON:
		return func(e client.Event) error { return writeJSON(w, e, "") }
	case formatYAML:
		return func(e client.Event) error {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
			return writeYAML(w, e)
		}
	}
	lines := &eventLines{sh: v.sh, widths: []int{14, 14, 18, 30, 0}}
	return func(e client.Event) error { return lines.write(w, e) }
}

func kindNames() []string {
	var out []string
	for _, k := range event.Kinds {
		out = append(out, string(k))
	}
	return out
}

// parseSince reads a length of time before now, in the units of time.ParseDuration and d for days,
// or a time.
func parseSince(value string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return at, nil
	}
	const most = 20 * 366 * 24 * time.Hour
	length, err := time.ParseDuration(value)
	if days, ok := strings.CutSuffix(value, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n <= int(most/(24*time.Hour)) {
			length = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || length <= 0 || length > most {
		return time.Time{}, fmt.Errorf("%q is neither a length of time such as 90m, 24h or 7d, nor a time such as %s",
			value, now.UTC().Format(time.RFC3339))
	}
	return now.Add(-length), nil
}

// eventLines prints an event a line, with columns as wide as what was printed so far.
type eventLines struct {
	sh     *shell
	widths []int
}

func (l *eventLines) write(w io.Writer, e client.Event) error {
	head, details := describeEvent(e.Event)
	cluster := cmp.Or(head.cluster, e.Cluster)
	at := l.sh.zoned(e.Event.Time)
	t := table{columns: make([]column, 5), rows: []row{{cells: []cell{
		{text: at, look: faint}, text(cluster), {text: head.what, look: head.look}, text(head.object), text(head.text),
	}}}}
	l.widths = wider(l.widths, t.widths(true, false))
	if err := t.writeRows(w, l.sh, true, false, l.widths); err != nil {
		return err
	}
	for _, d := range details {
		if _, err := fmt.Fprintf(w, "%s   │ %s\n", strings.Repeat(" ", width(at)), oneLine(d)); err != nil {
			return err
		}
	}
	return nil
}

// wider keeps each column at its widest so far.
func wider(so, now []int) []int {
	for i := range so {
		so[i] = max(so[i], now[i])
	}
	return so
}

func (s *shell) zoned(at time.Time) string { return at.In(s.zone).Format("01-02 15:04:05") }

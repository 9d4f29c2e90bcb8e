package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type changeReader interface {
	Since(ctx context.Context, q client.ChangeQuery) iter.Seq2[*rest.Since, error]
}

const (
	sinceDefault = "24h"
	sinceLimit   = 50
)

func newSince(sh *shell, conn *connection, connect func(context.Context) (changeReader, error)) *cobra.Command {
	v := &sinceVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "since [yesterday|2h|DATE]",
		Short: "Show what changed since a moment: a summary, and the changes, newest first",
		Long: `Show what changed since a moment: a summary, and the changes, newest first. What a cluster had when it joined did not
change, and is left out. The moment is today or yesterday (from midnight), a length of time until now (90m, 24h, 7d), a
date, or a time (RFC 3339); without one it is 24 hours ago.`,
		Example: sh.examples("since yesterday --team payments", "since 2h --cluster prod-aws-eu1 --kind episode,flux", "since 2026-11-20 -o json"),
		Args:    cobra.MaximumNArgs(1),
		RunE:    v.run,
	}
	v.sel.addFlags(cmd, "team", "environment", "cluster")
	f := cmd.Flags()
	f.StringVar(&v.service, "service", "", "Only this service, by its name within the team")
	f.StringSliceVar(&v.kinds, "kind", nil, "Only these kinds: "+strings.Join(kindNames(), ", "))
	complete(cmd, "kind", kindNames)
	f.IntVar(&v.limit, "limit", sinceLimit, "Changes that are listed; 0: all. The summary counts all in any case")
	v.out.addFlags(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.ValidArgs = []string{"today", "yesterday"}
	return cmd
}

type sinceVerb struct {
	sh      *shell
	conn    *connection
	connect func(context.Context) (changeReader, error)
	sel     selection
	out     output
	service string
	kinds   []string
	limit   int
}

func (v *sinceVerb) run(cmd *cobra.Command, args []string) error {
	q, err := v.query(strings.Join(args, ""))
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	h, err := v.connect(ctx)
	if err != nil {
		return err
	}
	found, err := v.read(ctx, h, q)
	if err != nil {
		return err
	}
	d := document{body: found, table: changeTable(v.sh, found.Items)}
	if v.out.format == formatTable || v.out.format == formatWide {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), v.sh.summaryLine(found)); err != nil {
			return err
		}
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, d); err != nil {
		return fmt.Errorf("print changes: %w", err)
	}
	if more := found.Total - len(found.Items); more > 0 {
		hint(cmd.ErrOrStderr(), "%s more, older: --limit 0 lists all", count(more, "change"))
	}
	return nil
}

func (v *sinceVerb) query(since string) (client.ChangeQuery, error) {
	f := v.sel.filter(v.conn.team())
	q := client.ChangeQuery{Cluster: f.Cluster, Environment: f.Environment, Team: f.Team, Service: v.service}
	var err error
	if q.Since, err = parseMoment(cmp.Or(since, sinceDefault), v.sh.now().In(v.sh.zone)); err != nil {
		return q, v.sh.usage("since", "%w", err)
	}
	q.Kinds, err = v.sh.parseKinds("since", v.kinds)
	return q, err
}

// parseKinds reads the values of --kind.
func (s *shell) parseKinds(command string, names []string) (kinds []event.Kind, err error) {
	for _, name := range names {
		kind := event.Kind(strings.ToLower(name))
		if !kind.Known() {
			return nil, s.usage(command, "there is no kind %q; use %s", name, strings.Join(kindNames(), ", "))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// read joins pages until there are as many changes as are wanted.
func (v *sinceVerb) read(ctx context.Context, h changeReader, q client.ChangeQuery) (rest.Since, error) {
	out := rest.Since{}
	for page, err := range h.Since(ctx, q) {
		if err != nil {
			return out, err
		}
		items := append(out.Items, page.Items...)
		out = *page
		out.Items = items
		if v.limit > 0 && len(items) >= v.limit {
			out.Items = items[:v.limit]
			break
		}
	}
	out.Next = ""
	return out, nil
}

// summaryLine counts what changed, without what did not.
func (s *shell) summaryLine(f rest.Since) string {
	parts := []string{}
	for _, c := range []struct {
		n    int
		noun string
	}{
		{f.Summary.Releases, "release"}, {f.Summary.Rollouts, "rollout"}, {f.Summary.Failures, "failure"},
		{f.Summary.EpisodesOpened, "episode opened"}, {f.Summary.EpisodesResolved, "episode resolved"}, {f.Summary.Gaps, "gap"},
		{f.Summary.ClustersJoined, "cluster joined"}, {f.Summary.ClustersLeft, "cluster left"},
		{f.Summary.ClustersSilent, "cluster fell silent"}, {f.Summary.ClustersConnected, "cluster connected"},
	} {
		if c.n > 0 {
			noun, rest, _ := strings.Cut(c.noun, " ")
			parts = append(parts, sentence(" ", count(c.n, noun), rest))
		}
	}
	if len(parts) == 0 {
		parts = []string{count(f.Total, "change")}
	}
	return "since " + s.moment(f.From) + ": " + strings.Join(parts, ", ")
}

// changeTable is the changes, a line each.
func changeTable(sh *shell, items []rest.Transition) table {
	t := table{columns: []column{{title: "TIME"}, {title: "CLUSTER"}, {title: "ENV", wide: true}, {title: "WHAT"}, {title: "OBJECT"},
		{title: "SERVICE"}, {title: "ARTIFACT", wide: true}, {title: "REVISION"}, {title: "DETAIL", most: 70}}}
	for _, i := range items {
		typ := event.Type("dev.fairway." + i.Kind + "." + i.What + ".v1")
		t.rows = append(t.rows, row{cells: []cell{
			{text: sh.zoned(i.Time), look: faint}, text(i.Cluster), text(i.Environment), {text: sentence(" ", i.Kind, i.What), look: eventLook(typ)},
			text(i.Object), text(sentence("/", i.Team, i.Service)), text(i.Artifact), text(shortRevision(i.Revision)),
			text(sentence(": ", i.Reason, i.Message)),
		}})
	}
	return t
}

// parseMoment reads today, yesterday, a date, or what parseSince reads; days begin in now's zone.
func parseMoment(value string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch strings.ToLower(value) {
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, value, now.Location()); err == nil {
			return at, nil
		}
	}
	at, err := parseSince(value, now)
	if err != nil {
		return at, fmt.Errorf("%w, nor today, yesterday or a date such as %s", err, now.Format(time.DateOnly))
	}
	return at, nil
}

// moment of the past that a list is asked for: the flag --at.
type pastFlag struct{ value string }

func (p *pastFlag) addFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.value, "at", "", "As it was at this moment: a time (RFC 3339 or \"2026-11-22 08:00\"), a date, yesterday, or how long ago (2h)")
}

// moment is when it was asked for; zero: now.
func (p *pastFlag) moment(sh *shell, command string, watch bool) (time.Time, error) {
	if p.value == "" {
		return time.Time{}, nil
	}
	if watch {
		return time.Time{}, sh.usage(command, "--watch shows what happens now, and --at what was")
	}
	at, err := parseMoment(p.value, sh.now().In(sh.zone))
	if err != nil {
		return at, sh.usage(command, "--at: %w", err)
	}
	return at, nil
}

// ages is the clock that ages in a list are counted from.
func ages(sh *shell, at time.Time) time.Time {
	if at.IsZero() {
		return sh.now()
	}
	return at
}

// asOf says, above a list of the past, which moment it shows.
func asOf(sh *shell, at time.Time, stderr io.Writer) {
	if !at.IsZero() {
		hint(stderr, "as it was at %s", sh.moment(at))
	}
}

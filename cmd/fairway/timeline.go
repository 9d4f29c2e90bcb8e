package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

const formatMarkdown format = "markdown"

type timelineReader interface {
	episodeReader
	Timeline(ctx context.Context, q client.TimelineQuery) (rest.Timeline, error)
	TimelineMarkdown(ctx context.Context, q client.TimelineQuery) (string, error)
}

func newTimeline(sh *shell, conn *connection, connect func(context.Context) (timelineReader, error)) *cobra.Command {
	v := &timelineVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "timeline --around EPISODE|TIME",
		Short: "Show everything around an episode or a moment on one clock, oldest first",
		Long: `Show everything around an episode or a moment on one clock, oldest first: releases, rollouts, failures, what Flux did and
what became of clusters. Around an episode it is what happened on its cluster and to its service anywhere, unless a flag
selects. With -o markdown it is for a post-mortem.`,
		Example: sh.examples("timeline --around 0193a7c1", "timeline --around 0193a7c1 -o markdown > post-mortem.md",
			"timeline --around \"2026-11-22 08:00\" --before 10m --after 2h --team payments"),
		Args: cobra.NoArgs,
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVar(&v.around, "around", "", "An episode's id or the start of it, or a moment: a time, a date, or how long ago (2h)")
	f.DurationVar(&v.q.Before, "before", 30*time.Minute, "How long before it to begin")
	f.DurationVar(&v.q.After, "after", 30*time.Minute, "How long after it, or after the end of the episode, to end")
	v.sel.addFlags(cmd, "team", "environment", "cluster")
	f.StringVar(&v.q.Service, "service", "", "Only this service, by its name within the team")
	f.StringSliceVar(&v.kinds, "kind", nil, "Only these kinds")
	complete(cmd, "kind", kindNames)
	v.out.addFlags(cmd, formatTable, formatWide, formatMarkdown, formatJSON, formatYAML)
	return cmd
}

type timelineVerb struct {
	sh      *shell
	conn    *connection
	connect func(context.Context) (timelineReader, error)
	sel     selection
	out     output
	around  string
	kinds   []string
	q       client.TimelineQuery
}

func (v *timelineVerb) run(cmd *cobra.Command, _ []string) error {
	if v.around == "" {
		return v.sh.usage("timeline", "say around what: --around EPISODE or --around TIME")
	}
	f := v.sel.filter(v.conn.team())
	v.q.Cluster, v.q.Environment, v.q.Team = f.Cluster, f.Environment, f.Team
	var err error
	if v.q.Kinds, err = v.sh.parseKinds("timeline", v.kinds); err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	h, err := v.connect(ctx)
	if err != nil {
		return err
	}
	if at, err := parseMoment(v.around, v.sh.now().In(v.sh.zone)); err == nil {
		v.q.Around = at.UTC().Format(time.RFC3339Nano)
	} else {
		e, err := findEpisode(ctx, v.sh, h, v.around)
		if err != nil {
			return err
		}
		v.q.Around = e.ID
	}
	return v.print(ctx, cmd, h)
}

func (v *timelineVerb) print(ctx context.Context, cmd *cobra.Command, h timelineReader) error {
	if v.out.format == formatMarkdown {
		text, err := h.TimelineMarkdown(ctx, v.q)
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	found, err := h.Timeline(ctx, v.q)
	if err != nil {
		return err
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, document{body: found, table: changeTable(v.sh, found.Items)}); err != nil {
		return fmt.Errorf("print timeline: %w", err)
	}
	if len(found.Items) == 0 {
		done(cmd.ErrOrStderr(), "nothing happened between %s and %s", v.sh.moment(found.From), v.sh.moment(found.Until))
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type episodeLister interface {
	Episodes(ctx context.Context, f client.Filter) (rest.EpisodeList, error)
}

func newGetEpisodes(sh *shell, conn *connection, connect func(context.Context) (episodeLister, error)) *cobra.Command {
	var (
		sel      selection
		out      output
		at       pastFlag
		resolved bool
		l        = list{sh: sh, out: &out}
	)
	cmd := &cobra.Command{
		Use:     "episodes [ID...]",
		Aliases: []string{"episode", "ep"},
		Short:   "List failures that are going on, newest first",
		Long: `List failures that are going on, newest first. An episode is one failure of one object on one cluster, however many
pods and restarts it took.`,
		Example: sh.examples("get episodes", "get episodes --team payments --resolved", "get episodes -o json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := sel.filter(conn.team())
			f.Resolved = resolved || len(args) > 0
			var err error
			if f.At, err = at.moment(sh, "get episodes", l.watch); err != nil {
				return err
			}
			asOf(sh, f.At, cmd.ErrOrStderr())
			l.load = func(ctx context.Context) (document, error) {
				h, err := connect(ctx)
				if err != nil {
					return document{}, err
				}
				found, err := h.Episodes(ctx, f)
				if err != nil {
					return document{}, err
				}
				found.Items, err = named(sh, "episode", "get episodes --resolved", args, found.Items,
					func(e rest.Episode, id string) bool { return strings.HasPrefix(e.ID, id) }, func(e rest.Episode) string { return e.ID })
				found.Total = len(found.Items)
				return episodeDocument(found, ages(sh, f.At)), err
			}
			l.empty = func(stderr io.Writer) { done(stderr, "no episode matches") }
			return l.run(cmd, conn)
		},
	}
	sel.addFlags(cmd, "team", "environment", "cloud", "cluster")
	cmd.Flags().BoolVar(&resolved, "resolved", false, "Also those that ended in the last 24 hours")
	out.addFlags(cmd, listFormats...)
	l.addFlags(cmd)
	at.addFlag(cmd)
	return cmd
}

func episodeDocument(list rest.EpisodeList, now time.Time) document {
	d := document{body: list, table: table{columns: []column{
		{title: "EPISODE"}, {title: "CLUSTER"}, {title: "ENV", wide: true}, {title: "SERVICE"}, {title: "OBJECT"}, {title: "REASON"},
		{title: "STATE"}, {title: "OPENED"}, {title: "RESTARTS"}, {title: "CONTAINER", wide: true}, {title: "REVISION", wide: true},
		{title: "SIGNATURE", wide: true}, {title: "MESSAGE", most: 60},
	}}}
	for _, e := range list.Items {
		d.names = append(d.names, "episode/"+e.ID)
		word, l := episodeState(e)
		d.table.rows = append(d.table.rows, row{key: e.ID, cells: []cell{
			text(e.ID), text(e.Cluster), text(e.Environment), text(sentence("/", e.Team, e.Service)), text(e.Object), text(e.Reason),
			{text: word, look: l}, clock(ago(now, e.OpenedAt)), text(fmt.Sprint(e.Restarts)), text(e.Container),
			text(shortRevision(e.Revision)), text(e.Signature), text(e.Message),
		}})
	}
	return d
}

// episodeState is whether an episode is going on, as far as anybody knows.
func episodeState(e rest.Episode) (string, look) {
	switch {
	case !e.ResolvedAt.IsZero():
		return "Resolved", good
	case !e.Known:
		return "Unknown", warn
	}
	return "Open", bad
}

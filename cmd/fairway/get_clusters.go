package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type clusterLister interface {
	Clusters(ctx context.Context, f client.Filter) (rest.ClusterList, error)
}

func newGetClusters(sh *shell, conn *connection, connect func(context.Context) (clusterLister, error)) *cobra.Command {
	var (
		sel selection
		out output
		at  pastFlag
		l   = list{sh: sh, out: &out}
	)
	cmd := &cobra.Command{
		Use:     "clusters [ID...]",
		Aliases: []string{"cluster"},
		Short:   "List clusters, with their status and how fresh it is",
		Example: sh.examples("get clusters", "get clusters --environment prod --cloud Azure",
			"get clusters --status degraded,unknown -o wide", "get clusters -w",
			"get clusters --at yesterday"),
		RunE: func(cmd *cobra.Command, args []string) error {
			matches, err := sel.hasStatus(sh, "get clusters")
			if err != nil {
				return err
			}
			moment, err := at.moment(sh, "get clusters", l.watch)
			if err != nil {
				return err
			}
			asOf(sh, moment, cmd.ErrOrStderr())
			l.load = func(ctx context.Context) (document, error) {
				h, err := connect(ctx)
				if err != nil {
					return document{}, err
				}
				f := sel.filter("")
				f.At = moment
				found, err := h.Clusters(ctx, f)
				if err != nil {
					return document{}, err
				}
				ns := conn.team()
				found.Items = slices.DeleteFunc(found.Items, func(c rest.Cluster) bool {
					return !matches(c.Status) || ns != "" && c.Namespace != ns
				})
				found.Items, err = named(sh, "cluster", "get clusters", args, found.Items,
					func(c rest.Cluster, id string) bool { return c.ID == id }, func(c rest.Cluster) string { return c.ID })
				found.Total = len(found.Items)
				return clusterDocument(found, ages(sh, moment)), err
			}
			l.empty = func(stderr io.Writer) {
				if sel.narrowed() || conn.team() != "" {
					caution(stderr, "no cluster matches")
					return
				}
				caution(stderr, "no cluster is registered yet: label a Cluster API Cluster with fleet.fairway.dev/register=true, or apply a WorkloadCluster")
			}
			return l.run(cmd, conn)
		},
	}
	sel.addFlags(cmd, "environment", "cloud", "status")
	out.addFlags(cmd, listFormats...)
	l.addFlags(cmd)
	at.addFlag(cmd)
	return cmd
}

func clusterDocument(list rest.ClusterList, now time.Time) document {
	d := document{body: list, table: table{columns: []column{
		{title: "CLUSTER"}, {title: "ENV"}, {title: "CLOUD"}, {title: "REGION"}, {title: "STATUS"}, {title: "OK/OBJECTS"},
		{title: "EPISODES"}, {title: "REVISION"}, {title: "HEARD"},
		{title: "NODES", wide: true}, {title: "KUBERNETES", wide: true}, {title: "FLUX", wide: true}, {title: "AGENT", wide: true},
		{title: "MESSAGE", most: 70},
	}}}
	for _, c := range list.Items {
		d.names = append(d.names, "cluster/"+c.ID)
		heard := clock(ago(now, c.Freshness.LastHeartbeat))
		if !c.Freshness.Known {
			heard.look = warn
		}
		d.table.rows = append(d.table.rows, row{key: c.ID, cells: []cell{
			text(c.ID), text(c.Environment), text(c.Cloud), text(c.Region), {text: string(c.Status), look: statusLook(c.Status)},
			objects(c), number(c.Episodes), text(shortRevision(c.Revision)), heard,
			nodes(c), text(c.KubernetesVersion), text(c.FluxVersion), text(c.AgentVersion),
			{text: sentence(": ", staleness(now, c.Freshness), c.Reason, c.Message), live: !c.Freshness.Known},
		}})
	}
	return d
}

// objects is how many are fine or under way, of how many. Nobody knows on a silent cluster.
func objects(c rest.Cluster) cell {
	switch {
	case c.Freshness.Known:
	case c.Freshness.LastHeartbeat.IsZero():
		return text("")
	default:
		return text(fmt.Sprintf("?/%d", c.Objects))
	}
	out := text(fmt.Sprintf("%d/%d", c.Objects-c.Failing, c.Objects))
	if c.Failing > 0 {
		out.look = bad
	}
	return out
}

func nodes(c rest.Cluster) cell {
	if c.NodesTotal == 0 {
		return text("")
	}
	return text(fmt.Sprintf("%d/%d", c.NodesReady, c.NodesTotal))
}

// staleness is freshness beside a column that says when the cluster was heard.
func staleness(now time.Time, f rest.Freshness) string {
	if f.LastHeartbeat.IsZero() {
		return ""
	}
	return freshness(now, f)
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type serviceLister interface {
	Services(ctx context.Context, f client.Filter) (rest.ServiceList, error)
}

func newGetServices(sh *shell, conn *connection, connect func(context.Context) (serviceLister, error)) *cobra.Command {
	var (
		sel selection
		out output
		at  pastFlag
		l   = list{sh: sh, out: &out}
	)
	cmd := &cobra.Command{
		Use:     "services [[TEAM/]NAME...]",
		Aliases: []string{"service", "svc"},
		Short:   "List services, a line for each cluster that runs them",
		Example: sh.examples("get services", "get services payments/ledger", "get services --team payments --status degraded"),
		RunE: func(cmd *cobra.Command, args []string) error {
			matches, err := sel.hasStatus(sh, "get services")
			if err != nil {
				return err
			}
			moment, err := at.moment(sh, "get services", l.watch)
			if err != nil {
				return err
			}
			asOf(sh, moment, cmd.ErrOrStderr())
			l.load = func(ctx context.Context) (document, error) {
				h, err := connect(ctx)
				if err != nil {
					return document{}, err
				}
				f := sel.filter(conn.team())
				f.At = moment
				found, err := h.Services(ctx, f)
				if err != nil {
					return document{}, err
				}
				found.Items = slices.DeleteFunc(found.Items, func(s rest.Service) bool { return !matches(s.Status) })
				found.Items, err = named(sh, "service", "get services", args, found.Items, isService, serviceName)
				found.Total = len(found.Items)
				return serviceDocument(found, ages(sh, moment)), err
			}
			l.empty = func(stderr io.Writer) {
				caution(stderr, "no service matches; a workload belongs to one by its labels fleet.fairway.dev/team and fleet.fairway.dev/service")
			}
			return l.run(cmd, conn)
		},
	}
	sel.addFlags(cmd, "team", "environment", "cloud", "cluster", "status")
	out.addFlags(cmd, listFormats...)
	l.addFlags(cmd)
	at.addFlag(cmd)
	return cmd
}

func serviceName(s rest.Service) string { return s.Team + "/" + s.Name }

// isService takes <team>/<name>, or the name alone.
func isService(s rest.Service, want string) bool {
	if strings.Contains(want, "/") {
		return serviceName(s) == want
	}
	return s.Name == want
}

func serviceDocument(list rest.ServiceList, now time.Time) document {
	d := document{body: list, table: table{columns: []column{
		{title: "SERVICE"}, {title: "CLUSTER"}, {title: "ENV"}, {title: "CLOUD", wide: true}, {title: "STATUS"}, {title: "READY"},
		{title: "ARTIFACT"}, {title: "REVISION"}, {title: "EPISODES"}, {title: "SINCE"}, {title: "REASON", most: 50},
	}}}
	for _, s := range list.Items {
		name := serviceName(s)
		d.names = append(d.names, "service/"+name)
		for _, c := range s.Clusters {
			d.table.rows = append(d.table.rows, row{key: name + " " + c.Cluster, cells: []cell{
				text(name), text(c.Cluster), text(c.Environment), text(c.Cloud),
				{text: string(c.Status), look: statusLook(c.Status)}, text(fmt.Sprintf("%d/%d", c.Ready, c.Desired)),
				text(c.Artifact), text(shortRevision(c.Revision)), number(c.Episodes), clock(age(now, c.Since)), reason(now, c),
			}})
		}
	}
	return d
}

// reason says first, of a cluster that is silent, how old the line is.
func reason(now time.Time, c rest.ServiceCluster) cell {
	if c.Status != rest.Unknown {
		return text(c.Reason)
	}
	stale := "never heard"
	if !c.AsOf.IsZero() {
		stale = "as of " + ago(now, c.AsOf)
	}
	return clock(sentence(": ", stale, c.Reason))
}

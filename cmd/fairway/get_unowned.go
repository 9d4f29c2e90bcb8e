package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

type unownedLister interface {
	Unowned(ctx context.Context, f client.Filter) (rest.UnownedList, error)
}

func newGetUnowned(sh *shell, conn *connection, connect func(context.Context) (unownedLister, error)) *cobra.Command {
	var (
		sel selection
		out output
		l   = list{sh: sh, out: &out}
	)
	cmd := &cobra.Command{
		Use:   "unowned",
		Short: "List what belongs to no team, by cluster",
		Long: `List workloads and Flux objects that belong to no team, by cluster. A team is named by a label of the workload, of its pod
template, or of the Flux object that applied it; the column APPLIED BY says where one label would do for many.
The Fleet says which labels are read, and which namespaces are the platform's own (spec.ownership).`,
		Example: sh.examples("get unowned", "get unowned --cluster prod-aws-eu1", "get unowned -e prod -o json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			matches, err := sel.hasStatus(sh, "get unowned")
			if err != nil {
				return err
			}
			l.load = func(ctx context.Context) (document, error) {
				h, err := connect(ctx)
				if err != nil {
					return document{}, err
				}
				found, err := h.Unowned(ctx, sel.filter(""))
				if err != nil {
					return document{}, err
				}
				found.Items = slices.DeleteFunc(found.Items, func(o rest.Unowned) bool { return !matches(o.Status) })
				found.Total = len(found.Items)
				return unownedDocument(found, sh.now()), nil
			}
			l.empty = func(stderr io.Writer) {
				if sel.narrowed() {
					done(stderr, "nothing that matches is without a team")
					return
				}
				done(stderr, "everything belongs to a team")
			}
			return l.run(cmd, conn)
		},
	}
	sel.addFlags(cmd, "environment", "cloud", "cluster", "status")
	out.addFlags(cmd, listFormats...)
	l.addFlags(cmd)
	return cmd
}

func unownedDocument(list rest.UnownedList, now time.Time) document {
	d := document{body: list, table: table{columns: []column{
		{title: "CLUSTER"}, {title: "ENV"}, {title: "CLOUD", wide: true}, {title: "OBJECT"}, {title: "STATUS"}, {title: "SINCE"},
		{title: "APPLIED BY"}, {title: "REASON", wide: true, most: 50}, {title: "IMAGES", wide: true, most: 80},
	}}}
	for _, o := range list.Items {
		d.names = append(d.names, o.Cluster+"/"+o.Object)
		d.table.rows = append(d.table.rows, row{key: o.Cluster + " " + o.Object, cells: []cell{
			text(o.Cluster), text(o.Environment), text(o.Cloud), text(o.Object), {text: string(o.Status), look: statusLook(o.Status)},
			clock(age(now, o.Since)), text(o.Owner), text(o.Reason), text(strings.Join(o.Images, " ")),
		}})
	}
	return d
}

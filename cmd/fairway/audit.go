package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
)

type auditor interface {
	Audit(ctx context.Context, q client.AuditQuery) (rest.AuditList, error)
}

func newAudit(sh *shell, conn *connection, connect func(context.Context) (auditor, error)) *cobra.Command {
	v := &auditVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "audit [TEAM/SERVICE]",
		Short: "Show how artifacts came to clusters: who wrote, approved and released them, and when each became healthy",
		Long: `Show how artifacts came to clusters, a line for every cluster of every release, newest first: the commit and its author, who asked for
the release and who approved it, when the cluster was told to run the artifact, and when it ran it in health. It is read from the hub's
history, also for releases and clusters that are gone.`,
		Example: sh.examples("audit payments/ledger --env prod", "audit --artifact main-4f1c9d2-a81b --cluster prod-azure-eu1", "audit --team payments -o json"),
		Args:    atMostOne(sh, "audit"),
		RunE:    v.run,
	}
	v.sel.addFlags(cmd, "team", "cluster")
	f := cmd.Flags()
	f.StringVarP(&v.q.Environment, "env", "e", "", "Only of this environment")
	f.StringVar(&v.q.Artifact, "artifact", "", "Only of this artifact, by its id")
	f.IntVar(&v.limit, "limit", historyLimit, "Lines that are listed; 0: all")
	v.out.addFlags(cmd, formatTable, formatWide, formatJSON, formatYAML)
	alsoEnvironment(f)
	return cmd
}

type auditVerb struct {
	sh      *shell
	conn    *connection
	connect func(context.Context) (auditor, error)
	sel     selection
	q       client.AuditQuery
	limit   int
	out     output
}

func (v *auditVerb) run(cmd *cobra.Command, args []string) error {
	v.q.Cluster, v.q.Team = v.sel.cluster, v.sel.filter(v.conn.team()).Team
	if len(args) == 1 {
		var err error
		if v.q.Team, v.q.Service, err = splitService("audit "+args[0], args[0]); err != nil {
			return err
		}
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	h, err := v.connect(ctx)
	if err != nil {
		return err
	}
	found, err := h.Audit(ctx, v.q)
	if err != nil {
		return err
	}
	return v.print(found, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

func (v *auditVerb) print(found rest.AuditList, stdout, stderr io.Writer) error {
	all := len(found.Items)
	if v.limit > 0 {
		found.Items = found.Items[:min(all, v.limit)]
	}
	if err := v.out.print(stdout, v.sh, document{body: found, table: auditTable(v.sh, found.Items)}); err != nil {
		return fmt.Errorf("print audit: %w", err)
	}
	if more := all - len(found.Items); more > 0 {
		hint(stderr, "%s more, older: --limit 0 lists all", count(more, "line"))
	}
	if all == 0 {
		caution(stderr, "no release matches; what may be seen of other teams depends on your rights")
	}
	return nil
}

func auditTable(sh *shell, entries []rest.AuditEntry) table {
	out := table{columns: []column{
		{title: "ARTIFACT"}, {title: "CLUSTER"}, {title: "STATE"}, {title: "COMMIT"}, {title: "AUTHOR"}, {title: "ASKED BY"}, {title: "APPROVED BY"},
		{title: "MOVED AT"}, {title: "HEALTHY AT"}, {title: "RELEASE"}, {title: "ENV", wide: true}, {title: "BRANCH", wide: true},
		{title: "BEFORE", wide: true}, {title: "CONFIG COMMIT", wide: true}, {title: "TAKEN BACK BY", wide: true}, {title: "CI", wide: true},
		{title: "MESSAGE", wide: true},
	}}
	for _, e := range entries {
		var approved []string
		for _, a := range e.Approvals {
			approved = append(approved, a.By)
		}
		out.rows = append(out.rows, row{key: e.Release + " " + e.Cluster, cells: []cell{
			text(e.Artifact), text(e.Cluster), text(e.State), text(shortCommit(e.Source.Commit)), text(e.Source.Author), text(e.RequestedBy),
			text(strings.Join(approved, ", ")), text(sh.second(e.MovedAt)), text(sh.second(e.AvailableAt)), text(e.Release), text(e.Environment),
			text(e.Source.Branch), text(e.Previous), text(shortRevision(e.Commit)), text(shortRevision(e.RollbackCommit)), text(e.Source.CI), text(e.Comment),
		}})
	}
	return out
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// historyLimit is how many Releases are listed where --limit does not say.
const historyLimit = 20

func newHistory(sh *shell, conn *connection) *cobra.Command {
	v := &historyVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "history [TEAM/SERVICE]",
		Short: "List the releases of a service, newest first: who asked, who approved, what came of it",
		Example: sh.examples("history payments/ledger", "history payments/ledger --env prod -o wide",
			"history --env prod -o json"),
		Args: atMostOne(sh, "history"),
		RunE: v.run,
	}
	f := cmd.Flags()
	addServiceFlag(f, &v.service)
	f.StringVarP(&v.environment, "env", "e", "", "Only of this environment")
	f.IntVar(&v.limit, "limit", historyLimit, "Releases that are listed; 0: all")
	v.out.addFlags(cmd, listFormats...)
	alsoEnvironment(f)
	return cmd
}

type historyVerb struct {
	sh                   *shell
	conn                 *connection
	service, environment string
	limit                int
	out                  output
}

func (v *historyVerb) run(cmd *cobra.Command, args []string) error {
	service, err := v.conn.findID(v.sh, "history", v.service, args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	items, err := platform.of(ctx, service)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return missingService(ctx, v.sh, platform, service)
	}
	if items, err = v.chosen(items); err != nil {
		return err
	}
	all := len(items)
	if v.limit > 0 {
		items = items[:min(all, v.limit)]
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, releaseDocument(v.sh, items)); err != nil {
		return fmt.Errorf("print history: %w", err)
	}
	if more := all - len(items); more > 0 {
		hint(cmd.ErrOrStderr(), "%s more, older: --limit 0 lists all", count(more, "release"))
	}
	return nil
}

// chosen keeps the Releases of the environment that was asked for.
func (v *historyVerb) chosen(items []fleetv1.Release) ([]fleetv1.Release, error) {
	if v.environment == "" {
		return items, nil
	}
	var have []string
	for _, r := range items {
		have = append(have, r.Spec.Environment)
	}
	if !slices.Contains(have, v.environment) {
		return nil, v.sh.missingFrom("environment that it was released to", v.environment, "kubectl get environments", unique(have))
	}
	return slices.DeleteFunc(items, func(r fleetv1.Release) bool { return r.Spec.Environment != v.environment }), nil
}

// releaseDocument is Releases as lists print them.
func releaseDocument(sh *shell, items []fleetv1.Release) document {
	body := fleetv1.ReleaseList{TypeMeta: metav1.TypeMeta{APIVersion: fleetv1.GroupVersion.String(), Kind: "ReleaseList"}, Items: []fleetv1.Release{}}
	d := document{table: table{columns: []column{
		{title: "RELEASE"}, {title: "ENV"}, {title: "PHASE"}, {title: "ARTIFACT"}, {title: "COMMIT"}, {title: "AUTHOR"}, {title: "ASKED BY"},
		{title: "APPROVED BY"}, {title: "HEALTHY AT"}, {title: "AGE"}, {title: "INTENT", wide: true}, {title: "BRANCH", wide: true},
		{title: "CONFIG COMMIT", wide: true}, {title: "CI", wide: true}, {title: "MESSAGE", wide: true}, {title: "REASON", most: 60},
	}}}
	for i := range items {
		r := items[i]
		r.ManagedFields = nil
		r.TypeMeta = metav1.TypeMeta{APIVersion: fleetv1.GroupVersion.String(), Kind: "Release"}
		body.Items = append(body.Items, r)
		d.names = append(d.names, "release/"+releaseName(&r))
		d.table.rows = append(d.table.rows, releaseRow(sh, &r))
	}
	d.body = body
	return d
}

func releaseRow(sh *shell, r *fleetv1.Release) row {
	var by []string
	for _, a := range r.Spec.Approvals {
		by = append(by, a.By)
	}
	intent := string(r.Spec.Intent)
	if r.Spec.From != "" {
		intent += " from " + r.Spec.From
	}
	source := r.Status.Source
	return row{key: r.Name, cells: []cell{
		text(releaseName(r)), text(r.Spec.Environment), {text: string(phase(r)), look: phaseLook(phase(r))}, text(r.Spec.Artifact),
		text(shortCommit(source.Commit)), text(source.Author), text(r.Spec.RequestedBy), text(strings.Join(by, ", ")),
		text(sh.second(healthyAt(r))), clock(age(sh.now(), r.CreationTimestamp.Time)), text(intent), text(source.Branch),
		text(shortRevision(r.Status.Commit)), text(source.CI), text(r.Spec.Message), text(because(r)),
	}}
}

// because is why a Release has not succeeded, or not yet.
func because(r *fleetv1.Release) string {
	if r.Status.Phase == fleetv1.PhaseSucceeded {
		return ""
	}
	_, reason, message := obstacle(r)
	if failed := failures(r); failed != "" {
		return failed
	}
	return sentence(": ", reason, message)
}

// second is a time in the user's zone, "" for none.
func (s *shell) second(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(s.zone).Format(time.DateTime)
}

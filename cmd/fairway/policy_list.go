package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func newPolicyList(sh *shell, conn *connection) *cobra.Command {
	v := &policyListVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "list [TEAM/SERVICE]",
		Short: "List the rules that releases of a service are under: its own, and those of environments",
		Long: `List the rules that releases of a service are under: its own, which ReleasePolicies of the team have, and those of the
Environments, which nobody but the platform's engineers change. With --namespace and no service it lists those of all of a team.`,
		Example: sh.examples("policy list payments/ledger", "policy list -n payments", "policy list -o yaml"),
		Args:    atMostOne(sh, "policy list"),
		RunE:    v.run,
	}
	addServiceFlag(cmd.Flags(), &v.service)
	v.out.addFlags(cmd, listFormats...)
	return cmd
}

type policyListVerb struct {
	sh      *shell
	conn    *connection
	service string
	out     output
}

func (v *policyListVerb) run(cmd *cobra.Command, args []string) error {
	service := serviceID{team: v.conn.team()}
	if len(args) > 0 || v.service != "" || service.team == "" {
		var err error
		if service, err = v.conn.findID(v.sh, "policy list", v.service, args); err != nil {
			return err
		}
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	items, err := platform.policies(ctx, service)
	if err != nil {
		return err
	}
	environments, err := platform.environments(ctx)
	if apierrors.IsForbidden(err) {
		caution(cmd.ErrOrStderr(), "you may not list Environments: their rules are left out")
	} else if err != nil {
		return err
	}
	d := policyDocument(items, environments)
	if err := v.out.print(cmd.OutOrStdout(), v.sh, d); err != nil {
		return fmt.Errorf("print policies: %w", err)
	}
	if len(d.table.rows) == 0 {
		emptyPolicies(cmd.ErrOrStderr(), v.sh, service)
	}
	return nil
}

func emptyPolicies(stderr io.Writer, sh *shell, service serviceID) {
	caution(stderr, "there is no rule; the first one: %s policy apply auto-release %s --branch main --env dev", sh.name, cmp.Or(service.name, "SERVICE"))
}

// policyList is what -o json prints.
type policyList struct {
	Policies     []fleetv1.ReleasePolicy `json:"policies"`
	Environments []fleetv1.Environment   `json:"environments"`
}

// policyDocument is a line for each rule; those of the Environments come first, since they stand above.
func policyDocument(items []fleetv1.ReleasePolicy, environments []fleetv1.Environment) document {
	body := policyList{Policies: []fleetv1.ReleasePolicy{}, Environments: []fleetv1.Environment{}}
	d := document{table: table{columns: []column{
		{title: "RULE"}, {title: "SERVICE"}, {title: "ENV"}, {title: "WANTS"}, {title: "WRITTEN IN"}, {title: "STATUS", most: 60},
	}}}
	for _, e := range environments {
		e.ManagedFields, e.TypeMeta = nil, metav1.TypeMeta{APIVersion: fleetv1.GroupVersion.String(), Kind: "Environment"}
		body.Environments = append(body.Environments, e)
		for _, rule := range environmentRules(e.Spec) {
			d.table.rows = append(d.table.rows, row{cells: []cell{text(rule[0]), text("all"), text(e.Name), text(rule[1]), text("environment/" + e.Name), text("")}})
		}
	}
	for _, p := range items {
		p.ManagedFields, p.TypeMeta = nil, metav1.TypeMeta{APIVersion: fleetv1.GroupVersion.String(), Kind: "ReleasePolicy"}
		body.Policies = append(body.Policies, p)
		d.names = append(d.names, "releasepolicy/"+p.Namespace+"/"+p.Name)
		d.table.rows = append(d.table.rows, policyRows(p)...)
	}
	d.body = body
	return d
}

// environmentRules are what an Environment wants of all releases, each with what it wants.
func environmentRules(spec fleetv1.EnvironmentSpec) [][2]string {
	var out [][2]string
	if spec.Branches != "" {
		out = append(out, [2]string{"branch-restriction", spec.Branches})
	}
	if from := spec.PromotesFrom; from != nil {
		wants := "healthy in " + from.Environment
		if from.HealthyFor.Duration > 0 {
			wants += " for " + span(from.HealthyFor.Duration)
		}
		out = append(out, [2]string{"promotion-path", wants})
	}
	if n := spec.Approvals.Required; n > 0 {
		out = append(out, [2]string{"approval", count(int(n), "approval")})
	}
	for _, f := range spec.Freezes {
		out = append(out, [2]string{"freeze", fmt.Sprintf("nothing but rollbacks from %s to %s (%s)", f.From.UTC().Format("2006-01-02T15:04Z"), f.To.UTC().Format("2006-01-02T15:04Z"), f.Name)})
	}
	return out
}

func policyRows(p fleetv1.ReleasePolicy) []row {
	status := cell{}
	if c := meta.FindStatusCondition(p.Status.Conditions, fluxmeta.ReadyCondition); c != nil {
		status.text = c.Message
		if c.Status != metav1.ConditionTrue {
			status = cell{text: sentence(": ", c.Reason, c.Message), look: bad}
		}
	}
	rule := func(name, environment, wants string) row {
		return row{cells: []cell{text(name), text(p.Namespace + "/" + p.Spec.Service), text(environment), text(wants), text("releasepolicy/" + p.Name), status}}
	}
	var out []row
	for _, a := range p.Spec.AutoRelease {
		out = append(out, rule(autoReleases.name, a.Environment, "branch "+a.Branch))
	}
	for environment, pattern := range p.Spec.Branches {
		out = append(out, rule(branchRestrictions.name, environment, string(pattern)))
	}
	slices.SortStableFunc(out, func(a, b row) int {
		return cmp.Or(strings.Compare(a.cells[0].text, b.cells[0].text), strings.Compare(a.cells[2].text, b.cells[2].text))
	})
	return out
}

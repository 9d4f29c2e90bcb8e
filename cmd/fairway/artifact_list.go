package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	kube "sigs.k8s.io/controller-runtime/pkg/client"
)

// artifactLimit is how many artifacts are listed where nobody says.
const artifactLimit = 20

func newArtifactList(sh *shell, conn *connection) *cobra.Command {
	v := &artifactListVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:     "list [TEAM/SERVICE]",
		Short:   "List a service's artifacts, the newest first",
		Long:    "List a service's artifacts, the newest first. Without an argument the service is that of fairway.yaml or shuttle.yaml in this folder or above.",
		Example: sh.examples("artifact list payments/ledger", "artifact list --branch main --limit 1 -o name"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return sh.usage("artifact list", "it takes one argument at most, the service")
			}
			return nil
		},
		RunE: v.run,
	}
	cmd.Flags().StringVar(&v.branch, "branch", "", "Only those of this branch")
	cmd.Flags().IntVar(&v.limit, "limit", artifactLimit, "How many; 0: all")
	addRegistryFlag(cmd, &v.registry)
	v.out.addFlags(cmd, listFormats...)
	return cmd
}

type artifactListVerb struct {
	sh               *shell
	conn             *connection
	registry, branch string
	limit            int
	out              output
}

func (v *artifactListVerb) run(cmd *cobra.Command, args []string) error {
	team, service, err := findService(".", strings.Join(args, ""))
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	store, err := v.conn.artifactsIn(ctx, v.registry, func() (kube.Client, error) { return v.conn.platform() })
	if err != nil {
		return err
	}
	found, err := store.List(ctx, team, service, 0)
	if err != nil {
		return refusedArtifact("artifact list", err)
	}
	var list struct {
		Items []artifactItem `json:"items"`
		Total int            `json:"total"` // also of those beyond the limit
	}
	list.Items = []artifactItem{}
	for _, a := range found {
		if v.branch != "" && a.Branch != v.branch {
			continue
		}
		if list.Total++; v.limit <= 0 || list.Total <= v.limit {
			list.Items = append(list.Items, newArtifactItem(team, service, a))
		}
	}
	if list.Total == 0 {
		caution(cmd.ErrOrStderr(), "no artifact of %s/%s matches", team, service)
	}
	if left := list.Total - len(list.Items); left > 0 {
		hint(cmd.ErrOrStderr(), "%s more; all of them: --limit 0", count(left, "artifact"))
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, artifactDocument(v.sh, list, list.Items)); err != nil {
		return fmt.Errorf("print artifacts: %w", err)
	}
	return nil
}

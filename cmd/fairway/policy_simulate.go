package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/policy"
)

func newPolicySimulate(sh *shell, conn *connection) *cobra.Command {
	v := &simulateVerb{sh: sh, conn: conn}
	cmd := &cobra.Command{
		Use:   "simulate [TEAM/SERVICE] --branch BRANCH",
		Short: "Say what happens when a branch is merged and its artifact pushed: environments and clusters, in order",
		Long: `Say what happens when a branch is merged and its artifact pushed: environments and clusters, in order. Nothing is written.

With -o markdown it is made for a comment on a pull request.`,
		Example: sh.examples("policy simulate payments/ledger --branch main", "policy simulate --current-branch -o markdown"),
		Args:    atMostOne(sh, "policy simulate"),
		RunE:    v.run,
	}
	f := cmd.Flags()
	addServiceFlag(f, &v.service)
	f.StringVarP(&v.branch, "branch", "b", "", "Branch")
	f.BoolVarP(&v.current, "current-branch", "c", false, "The branch that is checked out in this folder")
	v.out.addFlags(cmd, formatTable, formatWide, formatName, formatMarkdown, formatJSON, formatYAML)
	return cmd
}

type simulateVerb struct {
	sh              *shell
	conn            *connection
	service, branch string
	current         bool
	out             output
}

func (v *simulateVerb) run(cmd *cobra.Command, args []string) error {
	if (v.branch == "") == !v.current {
		return v.sh.usage("policy simulate", "say which branch: --branch or --current-branch, one of them")
	}
	service, err := v.conn.findID(v.sh, "policy simulate", v.service, args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	if v.current {
		if v.branch, err = v.conn.currentBranch(ctx); err != nil {
			return err
		}
	}
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	in, err := v.input(ctx, platform, service)
	if err != nil {
		return err
	}
	found, err := policy.Simulate(in)
	if err != nil {
		return fmt.Errorf("simulate a push of %s: %w", v.branch, err)
	}
	if v.out.format == formatMarkdown {
		return writeSimulation(cmd.OutOrStdout(), service, v.branch, found)
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, simulationDocument(service, v.branch, found)); err != nil {
		return fmt.Errorf("print simulation: %w", err)
	}
	return nil
}

// input is what the platform says now.
func (v *simulateVerb) input(ctx context.Context, platform releases, service serviceID) (policy.SimulateInput, error) {
	in := policy.SimulateInput{Team: service.team, Service: service.name, Branch: v.branch, Clusters: map[string][]policy.Cluster{}, Now: v.sh.now()}
	var err error
	if in.Environments, err = platform.environments(ctx); err != nil {
		return in, err
	}
	if len(in.Environments) == 0 {
		return in, fail("simulate", "an Environment says what may be released where: kubectl explain environment.spec", "the platform has no Environments")
	}
	if in.Policies, err = platform.policies(ctx, service); err != nil {
		return in, err
	}
	members, err := platform.members(ctx)
	for _, c := range members {
		if c.Status.Flux.Revision == "" {
			continue // it is being registered, and has followed the config repository never yet
		}
		in.Clusters[c.Spec.Environment] = append(in.Clusters[c.Spec.Environment], policy.Cluster{ID: c.ID(), Labels: c.Labels})
	}
	return in, err
}

// members are the clusters that releases go to, or will, once they are registered.
func (r releases) members(ctx context.Context) ([]fleetv1.WorkloadCluster, error) {
	var list fleetv1.WorkloadClusterList
	if err := r.List(ctx, &list); err != nil {
		return nil, &client.Error{Op: "list the WorkloadClusters", Err: err, Fix: fixOfRelease(err, "")}
	}
	return slices.DeleteFunc(list.Items, observed), nil
}

// simulation is what -o json prints.
type simulation struct {
	Service      string                 `json:"service"`
	Branch       string                 `json:"branch"`
	Environments []simulatedEnvironment `json:"environments"`
}

type simulatedEnvironment struct {
	Environment string          `json:"environment"`
	Outcome     policy.Outcome  `json:"outcome"`
	Reason      string          `json:"reason,omitempty"`
	Messages    []string        `json:"messages,omitempty"`
	Waves       []simulatedWave `json:"waves"`
}

type simulatedWave struct {
	Name     string   `json:"name"`
	Clusters []string `json:"clusters"`
	Soak     string   `json:"soak,omitempty"`
}

var outcomes = map[policy.Outcome]string{policy.Auto: "goes there by itself", policy.ByHand: "may go there when somebody asks for it", policy.Refused: "is refused"}

func simulationDocument(service serviceID, branch string, found []policy.Simulated) document {
	body := simulation{Service: service.String(), Branch: branch, Environments: []simulatedEnvironment{}}
	d := document{table: table{columns: []column{{title: "ENV"}, {title: "OUTCOME"}, {title: "CLUSTERS"}, {title: "REASON"}}}}
	looks := map[policy.Outcome]look{policy.Auto: good, policy.Refused: bad}
	for _, s := range found {
		e := simulatedEnvironment{Environment: s.Environment, Outcome: s.Outcome, Reason: s.Reason, Messages: s.Messages, Waves: []simulatedWave{}}
		for _, w := range s.Waves {
			wave := simulatedWave{Name: w.Name, Clusters: w.Clusters}
			if w.Soak > 0 {
				wave.Soak = span(w.Soak)
			}
			e.Waves = append(e.Waves, wave)
		}
		body.Environments = append(body.Environments, e)
		d.names = append(d.names, "environment/"+s.Environment)
		d.table.rows = append(d.table.rows, row{key: s.Environment, cells: []cell{
			text(s.Environment), {text: string(s.Outcome), look: looks[s.Outcome]}, text(waveText(s)), text(strings.Join(s.Messages, "; ")),
		}})
	}
	d.body = body
	return d
}

// waveText is the clusters in their order: "prod-aws-eu1, then after 5m prod-azure-eu1".
func waveText(s policy.Simulated) string {
	if s.Outcome == policy.Refused {
		return ""
	}
	var parts []string
	after := ""
	for i, w := range s.Waves {
		text := strings.Join(w.Clusters, ", ")
		if i > 0 {
			text = sentence(" ", "then", after, text)
		}
		parts = append(parts, text)
		after = ""
		if w.Soak > 0 {
			after = "after " + span(w.Soak)
		}
	}
	return strings.Join(parts, ", ")
}

// writeSimulation writes it for a pull request.
func writeSimulation(w io.Writer, service serviceID, branch string, found []policy.Simulated) error {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: when `%s` is merged and its artifact pushed, it\n\n", service, clean(branch))
	for _, s := range found {
		fmt.Fprintf(&b, "- **%s**: %s", s.Environment, outcomes[s.Outcome])
		if clusters := waveText(s); clusters != "" {
			fmt.Fprintf(&b, "; %s", clusters)
		}
		for _, message := range s.Messages {
			fmt.Fprintf(&b, "; %s", oneLine(message))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

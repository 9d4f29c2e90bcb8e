package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// policyVerb is policy apply or policy delete, of one kind of policy.
type policyVerb struct {
	sh                           *shell
	conn                         *connection
	name                         string
	service, environment, branch string
	out                          output
}

func newPolicyApply(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Release a branch by itself, or restrict an environment to branches",
		RunE:  sayWhat(sh, "policy apply", "auto-release", "branch-restriction"),
	}
	auto := &policyVerb{sh: sh, conn: conn, name: "policy apply auto-release"}
	autoCmd := &cobra.Command{
		Use:   "auto-release [TEAM/SERVICE] --branch BRANCH --env ENVIRONMENT",
		Short: "Release the artifacts of a branch to an environment as soon as they are pushed",
		Long: `Release the artifacts of a branch to an environment as soon as they are pushed. An environment has one such branch: a later one
replaces it. What the environment would refuse is refused here, and the message names both rules.`,
		Example: sh.examples("policy apply auto-release payments/ledger --branch main --env staging"),
		Args:    atMostOne(sh, auto.name),
		RunE:    auto.applyAutoRelease,
	}
	autoCmd.Flags().StringVarP(&auto.branch, "branch", "b", "", "Branch whose artifacts are released")
	auto.addFlags(autoCmd)
	auto.out.addFlags(autoCmd, listFormats...)
	branches := &policyVerb{sh: sh, conn: conn, name: "policy apply branch-restriction"}
	branchCmd := &cobra.Command{
		Use:   "branch-restriction [TEAM/SERVICE] --env ENVIRONMENT --branch-regex REGEX",
		Short: "Let only artifacts of matching branches into an environment",
		Long: `Let only artifacts of matching branches into an environment. The expression (RE2) must match the whole name of the branch. It
narrows what the Environment lets in, and cannot widen it.`,
		Example: sh.examples("policy apply branch-restriction payments/ledger --env prod --branch-regex 'main|release/.*'"),
		Args:    atMostOne(sh, branches.name),
		RunE:    branches.applyBranches,
	}
	branchCmd.Flags().StringVar(&branches.branch, "branch-regex", "", "Regular expression (RE2) that branches must match")
	branches.addFlags(branchCmd)
	branches.out.addFlags(branchCmd, listFormats...)
	cmd.AddCommand(autoCmd, branchCmd)
	return cmd
}

func newPolicyDelete(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Take back an auto-release or a branch restriction of a service",
		RunE:  sayWhat(sh, "policy delete", "auto-release", "branch-restriction"),
	}
	for _, kind := range []policyKind{autoReleases, branchRestrictions} {
		v := &policyVerb{sh: sh, conn: conn, name: "policy delete " + kind.name}
		one := &cobra.Command{
			Use:     kind.name + " [TEAM/SERVICE] --env ENVIRONMENT",
			Short:   "Take back the " + kind.title + " of a service in an environment",
			Example: sh.examples(v.name + " payments/ledger --env staging"),
			Args:    atMostOne(sh, v.name),
			RunE:    func(cmd *cobra.Command, args []string) error { return v.remove(cmd, args, kind) },
		}
		v.addFlags(one)
		cmd.AddCommand(one)
	}
	return cmd
}

func (v *policyVerb) addFlags(cmd *cobra.Command) {
	addServiceFlag(cmd.Flags(), &v.service)
	cmd.Flags().StringVarP(&v.environment, "env", "e", "", "Environment")
	alsoEnvironment(cmd.Flags())
}

// policyKind is one of the two things that a ReleasePolicy says of an environment.
type policyKind struct {
	name, title string
	says        func(spec *fleetv1.ReleasePolicySpec, environment string) bool
	remove      func(spec *fleetv1.ReleasePolicySpec, environment string)
}

var autoReleases = policyKind{
	name: "auto-release", title: "auto-release",
	says: func(spec *fleetv1.ReleasePolicySpec, environment string) bool {
		return slices.ContainsFunc(spec.AutoRelease, func(a fleetv1.AutoRelease) bool { return a.Environment == environment })
	},
	remove: func(spec *fleetv1.ReleasePolicySpec, environment string) {
		spec.AutoRelease = slices.DeleteFunc(spec.AutoRelease, func(a fleetv1.AutoRelease) bool { return a.Environment == environment })
	},
}

var branchRestrictions = policyKind{
	name: "branch-restriction", title: "branch restriction",
	says: func(spec *fleetv1.ReleasePolicySpec, environment string) bool {
		_, says := spec.Branches[environment]
		return says
	},
	remove: func(spec *fleetv1.ReleasePolicySpec, environment string) { delete(spec.Branches, environment) },
}

// change is what the flags ask for, but for what is set.
func (v *policyVerb) change(args []string, kind policyKind) (*policyChange, error) {
	if v.environment == "" {
		return nil, v.sh.usage(v.name, "say where: --env staging")
	}
	service, err := v.conn.findID(v.sh, v.name, v.service, args)
	if err != nil {
		return nil, err
	}
	return &policyChange{sh: v.sh, service: service, environment: v.environment,
		says: func(spec *fleetv1.ReleasePolicySpec) bool { return kind.says(spec, v.environment) },
		set:  func(spec *fleetv1.ReleasePolicySpec) { kind.remove(spec, v.environment) }}, nil
}

func (v *policyVerb) applyAutoRelease(cmd *cobra.Command, args []string) error {
	if v.branch == "" {
		return v.sh.usage(v.name, "say which branch: --branch main")
	}
	c, err := v.change(args, autoReleases)
	if err != nil {
		return err
	}
	c.set = func(spec *fleetv1.ReleasePolicySpec) {
		autoReleases.remove(spec, v.environment)
		spec.AutoRelease = append(spec.AutoRelease, fleetv1.AutoRelease{Branch: v.branch, Environment: v.environment})
	}
	return v.apply(cmd, c, "artifacts of branch %s go to %s as soon as they are pushed", v.branch, v.environment)
}

func (v *policyVerb) applyBranches(cmd *cobra.Command, args []string) error {
	if v.branch == "" {
		return v.sh.usage(v.name, "say which branches: --branch-regex '^main$'")
	}
	c, err := v.change(args, branchRestrictions)
	if err != nil {
		return err
	}
	c.set = func(spec *fleetv1.ReleasePolicySpec) {
		if spec.Branches == nil {
			spec.Branches = map[string]fleetv1.BranchPattern{}
		}
		spec.Branches[v.environment] = fleetv1.BranchPattern(v.branch)
	}
	return v.apply(cmd, c, "%s takes only artifacts of branches that match %s", v.environment, v.branch)
}

func (v *policyVerb) apply(cmd *cobra.Command, c *policyChange, says string, args ...any) error {
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	applied, err := c.apply(ctx, platform)
	if err != nil {
		return err
	}
	done(cmd.ErrOrStderr(), "%s: "+says, append([]any{c.service}, args...)...)
	if err := v.out.print(cmd.OutOrStdout(), v.sh, policyDocument([]fleetv1.ReleasePolicy{*applied}, nil)); err != nil {
		return fmt.Errorf("print policy: %w", err)
	}
	return nil
}

func (v *policyVerb) remove(cmd *cobra.Command, args []string, kind policyKind) error {
	c, err := v.change(args, kind)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	changed, err := c.remove(ctx, platform)
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		return fail(v.name, fmt.Sprintf("what there is: %s policy list %s", v.sh.name, c.service), "%s has no %s in %s", c.service, kind.title, v.environment)
	}
	names(cmd.OutOrStdout(), changed)
	done(cmd.ErrOrStderr(), "%s has no %s in %s any more", c.service, kind.title, v.environment)
	return nil
}

// names prints the policies that were changed.
func names(w io.Writer, changed []string) {
	for _, name := range changed {
		fmt.Fprintln(w, "releasepolicy/"+name)
	}
}

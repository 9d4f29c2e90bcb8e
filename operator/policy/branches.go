package policy

import (
	"fmt"
	"regexp"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// matches says whether a branch matches a pattern from its first to its last letter. The pattern is used as it stands: put between
// anchors, "a)|(b" would turn into another one.
func matches(pattern, branch string) (bool, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return false, err
	}
	re.Longest()
	at := re.FindStringIndex(branch)
	return at != nil && at[0] == 0 && at[1] == len(branch), nil
}

// outside says that a pattern does not let a branch in, and where it is written.
func outside(pattern, branch, where string) string {
	ok, err := matches(pattern, branch)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: %q is no regular expression, so nothing is let in until it is mended: %s", where, pattern, err)
	case branch == "":
		return fmt.Sprintf("%s: only branches that match %q are let in, and the artifact does not say its branch; push it again from a branch that does", where, pattern)
	case !ok:
		return fmt.Sprintf("%s: branch %s does not match %q; release an artifact of a branch that does", where, branch, pattern)
	}
	return ""
}

func outsideEnvironment(env *fleetv1.Environment, branch string) string {
	if env.Spec.Branches == "" {
		return ""
	}
	return outside(env.Spec.Branches, branch, fmt.Sprintf("Environment %s, spec.branches", env.Name))
}

// outsidePolicies asks all of the policies of a service: each one narrows what the others let in.
func outsidePolicies(policies []fleetv1.ReleasePolicy, team, service, environment, branch string) string {
	for _, p := range policies {
		if pattern, ok := p.Spec.Branches[environment]; ok && p.Namespace == team && p.Spec.Service == service {
			if problem := outside(string(pattern), branch, place(&p, fmt.Sprintf("branches[%s]", environment))); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// place is where something is written in a policy.
func place(p *fleetv1.ReleasePolicy, field string) string {
	return fmt.Sprintf("ReleasePolicy %s/%s, spec.%s", p.Namespace, p.Name, field)
}

package policy

import (
	"cmp"
	"fmt"
	"slices"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Simulate says what would happen, environment by environment, in the order of the promotion paths. The error is that of waves that
// cannot be read, and names the environment.
func Simulate(in SimulateInput) ([]Simulated, error) {
	out := []Simulated{}
	refused := map[string]bool{}
	for _, env := range inOrder(in.Environments) {
		waves, err := Waves(&env, in.Clusters[env.Name])
		if err != nil {
			return nil, fmt.Errorf("simulate Environment %s: %w", env.Name, err)
		}
		s := Simulated{Environment: env.Name, Waves: slices.DeleteFunc(waves, func(w Wave) bool { return len(w.Clusters) == 0 })}
		if reason, message := in.forbids(&env, refused); reason != "" {
			s.Outcome, s.Reason, s.Messages = Refused, reason, []string{message}
			refused[env.Name] = true
		} else {
			s.Outcome, s.Messages = in.allows(&env)
		}
		out = append(out, s)
	}
	return out, nil
}

// inOrder puts an environment after the one that it promotes from.
func inOrder(environments []fleetv1.Environment) []fleetv1.Environment {
	depth := func(e fleetv1.Environment) int {
		n := 0
		for at := &e; at != nil && at.Spec.PromotesFrom != nil && n <= len(environments); n++ {
			at = find(environments, at.Spec.PromotesFrom.Environment)
		}
		return n
	}
	return slices.SortedFunc(slices.Values(environments), func(a, b fleetv1.Environment) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a.Name, b.Name))
	})
}

// forbids says what keeps the branch out of an environment.
func (in SimulateInput) forbids(env *fleetv1.Environment, refused map[string]bool) (reason, message string) {
	if problem := invalidService(in.Team, in.Service); problem != "" {
		return fleetv1.ReasonServiceInvalid, problem
	}
	problem := cmp.Or(outsideEnvironment(env, in.Branch), outsidePolicies(in.Policies, in.Team, in.Service, env.Name, in.Branch))
	if problem != "" {
		return fleetv1.ReasonBranchNotAllowed, problem
	}
	if path := env.Spec.PromotesFrom; path != nil {
		rule := fmt.Sprintf("Environment %s, spec.promotesFrom", env.Name)
		switch {
		case find(in.Environments, path.Environment) == nil:
			return fleetv1.ReasonNotPromotable, fmt.Sprintf("%s: there is no Environment %s; the platform team has to name another one", rule, path.Environment)
		case refused[path.Environment], len(in.Clusters[path.Environment]) == 0, in.leadsBack(env):
			return fleetv1.ReasonNotPromotable, fmt.Sprintf("%s: it must have been healthy in %s, where it cannot be", rule, path.Environment)
		}
	}
	if len(in.Clusters[env.Name]) == 0 {
		return fleetv1.ReasonNoClusters, fmt.Sprintf("Environment %s: no cluster is in it that follows the config repository", env.Name)
	}
	return "", ""
}

// leadsBack says whether a promotion path has no beginning.
func (in SimulateInput) leadsBack(env *fleetv1.Environment) bool {
	at := env
	for range len(in.Environments) {
		if at == nil || at.Spec.PromotesFrom == nil {
			return false
		}
		at = find(in.Environments, at.Spec.PromotesFrom.Environment)
	}
	return at != nil && at.Spec.PromotesFrom != nil
}

// allows says how the branch gets to an environment, and what it waits for.
func (in SimulateInput) allows(env *fleetv1.Environment) (Outcome, []string) {
	outcome, messages := ByHand, []string{}
	for _, p := range in.Policies {
		for _, auto := range p.Spec.AutoRelease {
			if p.Namespace == in.Team && p.Spec.Service == in.Service && auto.Environment == env.Name && auto.Branch == in.Branch {
				outcome = Auto
				messages = append(messages, place(&p, "autoRelease")+": it is asked for as soon as the rules let it in")
			}
		}
	}
	if path := env.Spec.PromotesFrom; path != nil {
		messages = append(messages, fmt.Sprintf("Environment %s, spec.promotesFrom: it must have been healthy in %s for %s", env.Name, path.Environment, path.HealthyFor.Duration))
	}
	if names, until := freeze(env, in.Now); names != "" {
		messages = append(messages, fmt.Sprintf("Environment %s, spec.freezes: frozen by %s until %s", env.Name, names, stamp(until)))
	}
	if n := env.Spec.Approvals.Required; n > 0 {
		messages = append(messages, fmt.Sprintf("Environment %s, spec.approvals: %d other than the one who asks must approve", env.Name, n))
	}
	return outcome, messages
}

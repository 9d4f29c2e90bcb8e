package policy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// AutoReleases says which Releases are to be asked for, ordered by environment, and when to look again (0: no need). The newest artifact
// of a branch is asked for once in each environment, whoever asked and whatever became of it. While a freeze lasts nothing is asked for;
// where a promotion path leads, what has succeeded in the environment before is.
func AutoReleases(in AutoInput) ([]Asked, time.Duration) {
	var out []Asked
	var after time.Duration
	for _, auto := range sorted(in.Policy.Spec.AutoRelease) {
		env := find(in.Environments, auto.Environment)
		newest := in.newest(auto.Branch)
		if env == nil || newest == nil || in.outside(auto, env) || in.asked(auto, newest) || !in.promotable(env, newest) {
			continue
		}
		if names, until := freeze(env, in.Now); names != "" {
			after = earliest(after, until.Sub(in.Now))
			continue
		}
		out = append(out, in.ask(auto, newest))
	}
	return out, after
}

func sorted(all []fleetv1.AutoRelease) []fleetv1.AutoRelease {
	return slices.SortedStableFunc(slices.Values(all), func(a, b fleetv1.AutoRelease) int { return strings.Compare(a.Environment, b.Environment) })
}

func find(environments []fleetv1.Environment, name string) *fleetv1.Environment {
	if i := slices.IndexFunc(environments, func(e fleetv1.Environment) bool { return e.Name == name }); i >= 0 {
		return &environments[i]
	}
	return nil
}

// newest is the newest artifact of a branch. Nil: there is none, or it cannot be released; no older one is then.
func (in AutoInput) newest(branch string) *Artifact {
	all := in.Artifacts[branch]
	if len(all) == 0 || all[0].Problem != nil || all[0].Source.Branch != branch {
		return nil
	}
	return &all[0]
}

func (in AutoInput) outside(auto fleetv1.AutoRelease, env *fleetv1.Environment) bool {
	p := in.Policy
	return outsideEnvironment(env, auto.Branch) != "" ||
		outsidePolicies([]fleetv1.ReleasePolicy{*p}, p.Namespace, p.Spec.Service, env.Name, auto.Branch) != ""
}

// of are the Releases of the service to an environment.
func (in AutoInput) of(environment string) []fleetv1.Release {
	var out []fleetv1.Release
	for _, r := range in.Releases {
		if r.Namespace == in.Policy.Namespace && r.Spec.Service == in.Policy.Spec.Service && r.Spec.Environment == environment {
			out = append(out, r)
		}
	}
	return out
}

// asked says whether an artifact, or a newer one of its branch, was asked for already: the newest of a branch may be an old one, when
// somebody took newer ones out of the registry.
func (in AutoInput) asked(auto fleetv1.AutoRelease, a *Artifact) bool {
	return slices.ContainsFunc(in.of(auto.Environment), func(r fleetv1.Release) bool {
		source := r.Status.Source
		newer := source.Branch == auto.Branch && source.Created != nil && a.Source.Created != nil && a.Source.Created.Before(source.Created)
		return newer || r.Spec.Artifact == a.ID
	})
}

// promotable says whether an artifact has succeeded where the promotion path comes from.
func (in AutoInput) promotable(env *fleetv1.Environment, a *Artifact) bool {
	path := env.Spec.PromotesFrom
	return path == nil || slices.ContainsFunc(in.of(path.Environment), func(r fleetv1.Release) bool {
		return r.Spec.Artifact == a.ID && r.Status.Phase == fleetv1.PhaseSucceeded
	})
}

func (in AutoInput) ask(auto fleetv1.AutoRelease, a *Artifact) Asked {
	p := in.Policy
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Namespace, p.Spec.Service, auto.Environment, a.ID}, "/")))
	return Asked{
		Name: fmt.Sprintf("%s-%x", p.Spec.Service, sum[:5]),
		Spec: fleetv1.ReleaseSpec{
			Service:     p.Spec.Service,
			Artifact:    a.ID,
			Environment: auto.Environment,
			Intent:      fleetv1.IntentAutoRelease,
			RequestedBy: fmt.Sprintf("policy:%s/%s", p.Namespace, p.Name),
			Message:     fmt.Sprintf("%s: branch %s to %s", place(p, "autoRelease"), auto.Branch, auto.Environment),
		},
	}
}

// Contradictions says where a policy and the environments contradict each other. Each message names both places.
func Contradictions(policy *fleetv1.ReleasePolicy, environments []fleetv1.Environment) []string {
	var out []string
	for _, auto := range sorted(policy.Spec.AutoRelease) {
		here := fmt.Sprintf("%s releases branch %s to %s", place(policy, "autoRelease"), auto.Branch, auto.Environment)
		env := find(environments, auto.Environment)
		if env == nil {
			out = append(out, fmt.Sprintf("%s: there is no Environment %s", here, auto.Environment))
			continue
		}
		if problem := outsideEnvironment(env, auto.Branch); problem != "" {
			out = append(out, here+", and "+problem)
		}
		if problem := outsidePolicies([]fleetv1.ReleasePolicy{*policy}, policy.Namespace, policy.Spec.Service, env.Name, auto.Branch); problem != "" {
			out = append(out, here+", and "+problem)
		}
	}
	return append(out, strayBranches(policy, environments)...)
}

// strayBranches are those that narrow nothing, since their environment is not there, or let nothing in.
func strayBranches(policy *fleetv1.ReleasePolicy, environments []fleetv1.Environment) []string {
	var out []string
	for name, pattern := range policy.Spec.Branches {
		where := place(policy, fmt.Sprintf("branches[%s]", name))
		if find(environments, name) == nil {
			out = append(out, fmt.Sprintf("%s narrows what Environment %s lets in: there is no Environment %s", where, name, name))
		}
		if _, err := matches(string(pattern), ""); err != nil {
			out = append(out, fmt.Sprintf("%s lets nothing in to Environment %s: %s", where, name, err))
		}
	}
	slices.Sort(out)
	return out
}

package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/api/rest"
)

// suspect is an artifact of a service in an environment, with what is open on it.
type suspect struct {
	failing  map[string][]rest.Episode // by cluster
	running  []*rest.ServiceCluster
	episodes []string
	reasons  []string
}

// attribute says of every artifact of the service in the environment that has open episodes what they
// are specific to, ordered by artifact.
func attribute(clusters []*rest.ServiceCluster, open []rest.Episode) []rest.Attribution {
	suspects := map[string]*suspect{}
	for _, ep := range open {
		s := suspects[ep.Artifact]
		if s == nil {
			s = &suspect{failing: map[string][]rest.Episode{}}
			suspects[ep.Artifact] = s
		}
		s.failing[ep.Cluster] = append(s.failing[ep.Cluster], ep)
		s.episodes, s.reasons = append(s.episodes, ep.ID), append(s.reasons, ep.Reason)
	}
	out := []rest.Attribution{}
	for _, artifact := range slices.Sorted(maps.Keys(suspects)) {
		s := suspects[artifact]
		for _, on := range clusters {
			if on.Artifact == artifact || s.failing[on.Cluster] != nil {
				s.running = append(s.running, on)
			}
		}
		out = append(out, s.judge(artifact))
	}
	return out
}

func (s *suspect) judge(artifact string) rest.Attribution {
	slices.Sort(s.episodes)
	slices.Sort(s.reasons)
	a := rest.Attribution{Artifact: artifact, Failing: []string{}, Healthy: []string{}, Undecided: []string{},
		Signature: s.signature(), Reasons: slices.Compact(s.reasons), Episodes: s.episodes}
	bad, good := map[string]int{}, map[string]int{} // clusters by cloud
	for _, on := range s.running {
		switch {
		case s.failing[on.Cluster] != nil:
			a.Failing, bad[on.Cloud] = append(a.Failing, on.Cluster), bad[on.Cloud]+1
		case on.Status == rest.Ready:
			a.Healthy, good[on.Cloud] = append(a.Healthy, on.Cluster), good[on.Cloud]+1
		default:
			a.Undecided = append(a.Undecided, on.Cluster)
		}
	}
	a.Scope, a.Message = scopeOf(&a, bad, good)
	return a
}

// scopeOf is drawn from clusters that are known: one cluster alone says nothing, as there is nothing to
// hold it against.
func scopeOf(a *rest.Attribution, bad, good map[string]int) (rest.Scope, string) {
	clouds := strings.Join(slices.Sorted(maps.Keys(bad)), " and ")
	undecided := ""
	if len(a.Undecided) > 0 {
		undecided = "; not known yet on " + strings.Join(a.Undecided, ", ")
	}
	if len(a.Healthy) == 0 {
		if len(a.Failing) < 2 || len(a.Undecided) > 0 {
			return rest.ScopeOpen, "fails on " + strings.Join(a.Failing, ", ") + ", and runs in health nowhere" + undecided + ": too early to tell"
		}
		same := ""
		if a.Signature == "" {
			same = ", in different ways"
		}
		return rest.ScopeArtifact, fmt.Sprintf("fails everywhere (%s)%s: artifact-specific", clouds, same)
	}
	for cloud := range bad {
		if good[cloud] > 0 {
			return rest.ScopeCluster, "fails on " + strings.Join(a.Failing, ", ") + " only: cluster-specific" + undecided
		}
	}
	return rest.ScopeCloud, "fails on " + clouds + " only: cluster-specific" + undecided
}

// signature is the one that an episode on every failing cluster has; "" when there is none.
func (s *suspect) signature() string {
	count := map[string]int{}
	for _, episodes := range s.failing {
		seen := map[string]bool{}
		for _, ep := range episodes {
			if ep.Signature != "" && !seen[ep.Signature] {
				seen[ep.Signature] = true
				count[ep.Signature]++
			}
		}
	}
	for _, signature := range slices.Sorted(maps.Keys(count)) {
		if count[signature] == len(s.failing) {
			return signature
		}
	}
	return ""
}

package policy

import (
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Admit asks every rule.
func Admit(in AdmitInput) Verdict { return Verdict{} }

// Waves puts clusters into the waves of an environment, which come in their order, those without clusters too; last the wave
// fleetv1.WaveOthers, if it has any. The error is that of a selector that cannot be read, and names the wave.
func Waves(env *fleetv1.Environment, clusters []Cluster) ([]Wave, error) { return nil, nil }

// Next decides what is to be done for a Release now.
func Next(in Input) Step { return Step{} }

// Report writes a step into a status: all but conditions, commit, rollbackCommit and observedGeneration.
func Report(status *fleetv1.ReleaseStatus, step Step) {}

// AutoReleases says which Releases are to be asked for, ordered by environment, and when to look again (0: no need).
func AutoReleases(in AutoInput) ([]Asked, time.Duration) { return nil, 0 }

// Contradictions says where a policy and the environments contradict each other. Each message names both places.
func Contradictions(policy *fleetv1.ReleasePolicy, environments []fleetv1.Environment) []string {
	return nil
}

// Simulate says what would happen, environment by environment, in the order of the promotion paths.
func Simulate(in SimulateInput) ([]Simulated, error) { return nil, nil }

package agent

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Settings are what the Fleet says of how agents tell what they see.
type Settings struct {
	ownership fleetv1.Ownership
	redact    []fleetv1.RedactRule
	team      string // of what carries no label
}

// ErrSettings is wrapped by SettingsOf for what agents cannot use.
var ErrSettings = errors.New("agents go without it")

// SettingsOf are the settings of a Fleet for one of its clusters; obj is nil for those that all clusters
// share. What agents could not use is left out, so that it stops none of them, and the error names it
// with what to do about it: the API server refuses such a Fleet, but may have kept one from before.
func SettingsOf(fleet *fleetv1.Fleet, obj *fleetv1.WorkloadCluster) (Settings, error) {
	s := Settings{ownership: fleet.Spec.Ownership, team: string(fleet.Spec.Ownership.DefaultTeam)}
	if obj != nil && obj.Labels[fleetv1.LabelTeam] != "" {
		s.team = obj.Labels[fleetv1.LabelTeam]
	}
	var refused []error
	for i, rule := range fleet.Spec.Events.Redact {
		if err := usable(rule.Pattern); err != nil {
			refused = append(refused, fmt.Errorf("spec.events.redact[%d] (%s): %w", i, rule.Name, err))
			continue
		}
		s.redact = append(s.redact, rule)
	}
	if refused != nil {
		return s, fmt.Errorf("%w: %w; mend the pattern: https://github.com/google/re2/wiki/Syntax", ErrSettings, errors.Join(refused...))
	}
	return s, nil
}

// usable says why agents would not take a pattern.
func usable(pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	if re.MatchString("") {
		return fmt.Errorf("the pattern %q matches the empty text, and so something everywhere", pattern)
	}
	return nil
}

// args are the agent's flags. The same settings give the same flags: any change of them starts the agent
// anew.
func (s Settings) args() (out []string) {
	flag := func(name, value string) {
		if value != "" {
			out = append(out, "--"+name+"="+literal(value))
		}
	}
	for _, label := range s.ownership.TeamLabels {
		flag("team-label", string(label))
	}
	for _, label := range s.ownership.ServiceLabels {
		flag("service-label", string(label))
	}
	for _, label := range s.ownership.ArtifactLabels {
		flag("artifact-label", string(label))
	}
	for _, alias := range slices.Sorted(maps.Keys(s.ownership.TeamAliases)) {
		flag("team-alias", alias+"="+string(s.ownership.TeamAliases[alias]))
	}
	flag("default-team", s.team)
	if len(s.ownership.PlatformNamespaces) > 0 {
		flag("platform-team", string(s.ownership.PlatformTeam))
		flag("platform-namespaces", strings.Join(s.ownership.PlatformNamespaces, ","))
	}
	for _, rule := range s.redact {
		flag("redact", rule.Name+"="+rule.Pattern)
	}
	return out
}

// literal keeps Kubernetes from taking $(NAME) in an argument for a variable.
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }

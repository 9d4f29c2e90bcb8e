package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func fleetWith(change func(*fleetv1.FleetSpec)) *fleetv1.Fleet {
	fleet := &fleetv1.Fleet{}
	change(&fleet.Spec)
	return fleet
}

func TestSettingsBecomeFlags(t *testing.T) {
	fleet := fleetWith(func(s *fleetv1.FleetSpec) {
		s.Ownership = fleetv1.Ownership{
			TeamLabels: []fleetv1.LabelName{"example.com/owner"}, ServiceLabels: []fleetv1.LabelName{"app"}, ArtifactLabels: []fleetv1.LabelName{"build"},
			TeamAliases: map[string]fleetv1.TeamName{"squad-pay": "payments", "Payments Team": "payments"},
			DefaultTeam: "ops", PlatformTeam: "platform", PlatformNamespaces: []string{"flux-system", "kube-system"},
		}
		s.Events.Redact = []fleetv1.RedactRule{{Name: "card", Pattern: `\d{4}$(x|y)`}, {Name: "iban", Pattern: `DK\d+`}}
	})
	for name, c := range map[string]struct {
		obj  *fleetv1.WorkloadCluster
		team string
	}{
		"the Fleet's team owns what carries no label":                  {nil, "ops"},
		"a WorkloadCluster without a label changes nothing":            {&fleetv1.WorkloadCluster{}, "ops"},
		"the label of a WorkloadCluster comes before the Fleet's team": {&fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{fleetv1.LabelTeam: "acquired"}}}, "acquired"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := SettingsOf(fleet, c.obj)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{
				"--team-label=example.com/owner", "--service-label=app", "--artifact-label=build",
				"--team-alias=Payments Team=payments", "--team-alias=squad-pay=payments", "--default-team=" + c.team,
				"--platform-team=platform", "--platform-namespaces=flux-system,kube-system", `--redact=card=\d{4}$$(x|y)`, `--redact=iban=DK\d+`,
			}, s.args()); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
	if got := (Settings{}).args(); got != nil {
		t.Errorf("no settings are the flags %q", got)
	}
}

func TestWhatAgentsCannotUseIsLeftOutAndNamed(t *testing.T) {
	s, err := SettingsOf(fleetWith(func(s *fleetv1.FleetSpec) {
		s.Events.Redact = []fleetv1.RedactRule{{Name: "open", Pattern: "(x"}, {Name: "good", Pattern: "x+"}, {Name: "empty", Pattern: "x*"}}
	}), nil)
	if diff := cmp.Diff([]string{"--redact=good=x+"}, s.args()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if !errors.Is(err, ErrSettings) {
		t.Fatalf("error %v, want ErrSettings", err)
	}
	for _, part := range []string{"spec.events.redact[0] (open)", "missing closing )", "spec.events.redact[2] (empty)", "matches the empty text", "mend the pattern"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

package release

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// contract tries what the API server does not take.
func (s *suite) contract(t *testing.T) {
	s.platform.Namespace(t, "contract")
	valid := func() fleetv1.ReleaseSpec {
		return fleetv1.ReleaseSpec{Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod", Intent: fleetv1.IntentRelease, RequestedBy: "dev"}
	}
	release := func(spec fleetv1.ReleaseSpec) *fleetv1.Release {
		return &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "contract", GenerateName: "ledger-"}, Spec: spec}
	}
	refused := func(t *testing.T, err error, says string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	for name, c := range map[string]struct {
		change func(*fleetv1.ReleaseSpec)
		says   string
	}{
		"a promotion from nowhere":            {func(r *fleetv1.ReleaseSpec) { r.Intent = fleetv1.IntentPromote }, "from is set with the intent Promote"},
		"a release from somewhere":            {func(r *fleetv1.ReleaseSpec) { r.From = "staging" }, "from is set with the intent Promote"},
		"nobody asks":                         {func(r *fleetv1.ReleaseSpec) { r.RequestedBy = "" }, "spec.requestedBy"},
		"an intent of one's own":              {func(r *fleetv1.ReleaseSpec) { r.Intent = "Hope" }, "spec.intent"},
		"an artifact that climbs out":         {func(r *fleetv1.ReleaseSpec) { r.Artifact = "../main" }, "spec.artifact"},
		"a service that is no name":           {func(r *fleetv1.ReleaseSpec) { r.Service = "Ledger" }, "spec.service"},
		"an environment that is no name":      {func(r *fleetv1.ReleaseSpec) { r.Environment = "a/b" }, "spec.environment"},
		"two approvals by the same":           {func(r *fleetv1.ReleaseSpec) { r.Approvals = []fleetv1.Approval{approvalBy("boss"), approvalBy("boss")} }, "Duplicate value"},
		"an approval by nobody, or for never": {func(r *fleetv1.ReleaseSpec) { r.Approvals = []fleetv1.Approval{{}} }, "spec.approvals"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := valid()
			c.change(&spec)
			refused(t, s.platform.Client.Create(t.Context(), release(spec)), c.says)
		})
	}
	spec := valid()
	spec.Approvals = []fleetv1.Approval{approvalBy("boss")}
	obj := release(spec)
	if err := s.platform.Client.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*fleetv1.ReleaseSpec)
		says   string
	}{
		"another artifact":          {func(r *fleetv1.ReleaseSpec) { r.Artifact = "main-0000000-0000" }, "a Release says what was asked for and never changes"},
		"another message":           {func(r *fleetv1.ReleaseSpec) { r.Message = "no, wait" }, "a Release says what was asked for and never changes"},
		"an approval taken back":    {func(r *fleetv1.ReleaseSpec) { r.Approvals = nil }, "an approval that was given stays"},
		"an approval that is older": {func(r *fleetv1.ReleaseSpec) { r.Approvals[0].At = metav1.Time{Time: time.Unix(0, 0)} }, "an approval that was given stays"},
	} {
		t.Run("later, "+name, func(t *testing.T) {
			changed := obj.DeepCopy()
			c.change(&changed.Spec)
			refused(t, s.platform.Client.Update(t.Context(), changed), c.says)
		})
	}
	obj.Spec.Suspend = true
	obj.Spec.Approvals = append(obj.Spec.Approvals, approvalBy("other"))
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Errorf("to hold it, and to approve it: %v", err)
	}
}

func approvalBy(who string) fleetv1.Approval {
	return fleetv1.Approval{By: who, At: metav1.Time{Time: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}}
}

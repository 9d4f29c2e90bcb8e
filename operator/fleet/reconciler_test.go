package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/steps"
)

type suite struct {
	*Reconciler
	c     client.Client
	clock *clocktesting.FakePassiveClock
	bus   *busState
	view  *view
}

// busState is the operator's connection to the bus, which does not run here.
type busState struct{ err error }

func (b *busState) Check() error { return b.err }

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{c: platformtest.Platform(t).Client, clock: clocktesting.NewFakePassiveClock(time.Now()), bus: &busState{}, view: &view{}}
	s.Reconciler = &Reconciler{
		Client: s.c, Recorder: events.NewFakeRecorder(100), Catalog: flux.NewCatalog(), Bus: s.bus, View: s.view, Upgrades: &Upgrades{}, Clock: s.clock,
		Store:     &eventbus.Store{Client: s.c, Namespace: fleetv1.SystemNamespace, Life: time.Hour, Now: s.clock.Now},
		Namespace: fleetv1.SystemNamespace, FieldOwner: "fairway-operator",
	}
	s.heads.Now, s.versions.Now = s.clock.Now, s.clock.Now
	return s
}

// pass takes one pass over a Fleet, which is made for it and removed after the test.
func (s *suite) pass(t *testing.T, fleet *fleetv1.Fleet) error {
	t.Helper()
	if fleet.ResourceVersion == "" {
		platformtest.Create(t, s.c, fleet)
		t.Cleanup(func() {
			if err := s.c.Delete(context.WithoutCancel(t.Context()), fleet); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(fleet)})
	if getErr := s.c.Get(t.Context(), client.ObjectKeyFromObject(fleet), fleet); getErr != nil {
		t.Fatal(getErr)
	}
	s.clock.SetTime(s.clock.Now().Add(failureLife)) // errors are looked at anew in the next pass
	return err
}

func newFleet(change func(*fleetv1.FleetSpec)) *fleetv1.Fleet {
	fleet := &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git"},
			Flux:             fleetv1.FluxDistribution{Artifact: "oci://127.0.0.1:1/flux-manifests"},
			Events:           fleetv1.Events{URL: "tls://events.example.com:4222"},
		},
	}
	if change != nil {
		change(&fleet.Spec)
	}
	return fleet
}

func TestOnAPlatformCluster(t *testing.T) {
	s := newSuite(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"the API refuses what its rules forbid", refusesInvalid},
		{"what is left out has its default", hasDefaults},
		{"a repository that cannot be read is told of, and hides nothing else", tellsOfRepository},
		{"a Secret that is missing is named", tellsOfSecret},
		{"a range without a version is told of with what there is", tellsOfVersions},
		{"without an address agents have nothing to dial", tellsOfAddress},
		{"a bus that does not answer is told of", tellsOfBus},
		{"a second pass writes nothing", writesNothing},
		{"an upgrade halts at a cluster that fails, remembers it, and goes on when it is mended", haltsUpgrade},
		{"rings that cannot be read hold everything", holdsWithoutRings},
		{"while nothing can be seen nothing goes on, and a restart is no news", holdsWhileBlind},
		{"damaged keys are never overwritten", keepsKeys},
		{"a Fleet that was moved waits for its keys", waitsForKeys},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func refusesInvalid(t *testing.T, s *suite) {
	for name, c := range map[string]struct {
		change func(*fleetv1.Fleet)
		want   string
	}{
		"another name":                        {func(f *fleetv1.Fleet) { f.Name = "second" }, "there is one Fleet; name it default"},
		"no URL":                              {func(f *fleetv1.Fleet) { f.Spec.ConfigRepository.URL = "" }, "configRepository"},
		"another protocol":                    {func(f *fleetv1.Fleet) { f.Spec.ConfigRepository.URL = "ftp://git.example.com/x" }, "url"},
		"a quick interval":                    {func(f *fleetv1.Fleet) { f.Spec.ConfigRepository.Interval.Duration = time.Second }, "interval must be between 5s and 24h"},
		"a slow interval":                     {func(f *fleetv1.Fleet) { f.Spec.ConfigRepository.Interval.Duration = 25 * time.Hour }, "interval must be between 5s and 24h"},
		"no OCI artifact":                     {func(f *fleetv1.Fleet) { f.Spec.Flux.Artifact = "https://example.com" }, "artifact"},
		"no source-controller":                {func(f *fleetv1.Fleet) { f.Spec.Flux.Components = []fleetv1.FluxComponent{"helm-controller"} }, "source-controller and kustomize-controller are needed"},
		"an unknown component":                {func(f *fleetv1.Fleet) { f.Spec.Flux.Components = []fleetv1.FluxComponent{"my-controller"} }, "components"},
		"another bus":                         {func(f *fleetv1.Fleet) { f.Spec.Events.URL = "https://events.example.com" }, "url"},
		"a short memory":                      {func(f *fleetv1.Fleet) { f.Spec.Events.Retention.Duration = time.Minute }, "retention must be at least 1h"},
		"a quick heartbeat":                   {func(f *fleetv1.Fleet) { f.Spec.Heartbeat.Interval.Duration = time.Millisecond }, "interval must be between 1s and 10m"},
		"a slow heartbeat":                    {func(f *fleetv1.Fleet) { f.Spec.Heartbeat.Interval.Duration = time.Hour }, "interval must be between 1s and 10m"},
		"a pattern that is none":              {redacts(`(x`), "missing closing"},
		"a pattern that finds nothing":        {redacts(`x*`), "does not match the empty text"},
		"a rule without a name":               {func(f *fleetv1.Fleet) { f.Spec.Events.Redact = []fleetv1.RedactRule{{Pattern: "x"}} }, "name"},
		"two rules of one name":               {redacts(`x`, `y`), "Duplicate value"},
		"a label that is none":                {func(f *fleetv1.Fleet) { f.Spec.Ownership.TeamLabels = []fleetv1.LabelName{"a b"} }, "teamLabels"},
		"a team that is no namespace":         {func(f *fleetv1.Fleet) { f.Spec.Ownership.DefaultTeam = "The Team" }, "defaultTeam"},
		"an alias of an alias":                {func(f *fleetv1.Fleet) { f.Spec.Ownership.TeamAliases = map[string]fleetv1.TeamName{"a": "b", "b": "c"} }, "an alias must stand for a team"},
		"a namespace that is none":            {func(f *fleetv1.Fleet) { f.Spec.Ownership.PlatformNamespaces = []string{"kube_system"} }, "platformNamespaces"},
		"no cluster at a time":                {upgrades(func(u *fleetv1.FluxUpgrade) { u.MaxConcurrent = ptr.To(intstr.FromInt32(0)) }), "maxConcurrent must be at least 1"},
		"a percentage of nothing":             {upgrades(func(u *fleetv1.FluxUpgrade) { u.MaxConcurrent = ptr.To(intstr.FromString("0%")) }), "maxConcurrent"},
		"a quick verdict":                     {upgrades(func(u *fleetv1.FluxUpgrade) { u.Timeout.Duration = time.Second }), "timeout must be between 30s and 24h"},
		"a soak of weeks":                     {upgrades(soaks("a", 200*time.Hour)), "soak must be between 0s and 168h"},
		"a soak that is over before":          {upgrades(soaks("a", -time.Hour)), "soak must be between 0s and 168h"},
		"the ring of all others":              {upgrades(soaks("others", 0)), "the name others"},
		"a ring after that of all":            {upgrades(soaks("a", 0), soaks("b", 0)), "it must be the last"},
		"two rings of one name":               {upgrades(soaks("a", 0), soaks("a", 0)), "Duplicate value"},
		"no patience":                         {func(f *fleetv1.Fleet) { f.Spec.Heartbeat.MissesUntilUnknown = 1 }, "missesUntilUnknown"},
		"a layer without a name":              {layersAre(fleetv1.Layer{}), "name"},
		"a layer that climbs out":             {layersAre(fleetv1.Layer{Name: ".."}), "name"},
		"two layers of one name":              {layersAre(fleetv1.Layer{Name: "a"}, fleetv1.Layer{Name: "a"}), "Duplicate value"},
		"a layer that nobody knows":           {layersAre(fleetv1.Layer{Name: "a", DependsOn: []string{"b"}}), "dependsOn must name other layers of this list"},
		"a layer that waits for itself":       {layersAre(fleetv1.Layer{Name: "a", DependsOn: []string{"a"}}), "of which none depends on this one"},
		"two layers that wait for each other": {layersAre(fleetv1.Layer{Name: "a", DependsOn: []string{"b"}}, fleetv1.Layer{Name: "b", DependsOn: []string{"a"}}), "of which none depends on this one"},
		"a layer in a hurry":                  {layersAre(fleetv1.Layer{Name: "a", Interval: metav1.Duration{Duration: time.Second}}), "interval must be between 1m and 24h"},
		"a layer without patience":            {layersAre(fleetv1.Layer{Name: "a", Timeout: metav1.Duration{Duration: time.Second}}), "timeout must be between 10s and 1h"},
		"artifacts that are in no registry":   {artifactsAre(fleetv1.ArtifactStore{URL: "https://registry.example.com/a"}), "spec.artifacts.url"},
		"a registry with a password":          {artifactsAre(fleetv1.ArtifactStore{URL: "oci://u:p@registry.example.com/a"}), "spec.artifacts.url"},
		"a registry that is asked all along":  {artifactsAre(fleetv1.ArtifactStore{URL: "oci://a/b", Interval: metav1.Duration{Duration: time.Millisecond}}), "interval must be between 1s and 1h"},
		"artifacts that are never removed":    {artifactsAre(fleetv1.ArtifactStore{URL: "oci://a/b", Keep: 101}), "spec.artifacts.keep"},
		"too many layers":                     {layersAre(make([]fleetv1.Layer, 33)...), "must have at most 32 items"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := newFleet(nil)
			c.change(fleet)
			if err := s.c.Create(t.Context(), fleet); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("created, or refused for another reason than %q: %v", c.want, err)
			}
		})
	}
}

func artifactsAre(artifacts fleetv1.ArtifactStore) func(*fleetv1.Fleet) {
	return func(f *fleetv1.Fleet) { f.Spec.Artifacts = &artifacts }
}

func upgrades(changes ...func(*fleetv1.FluxUpgrade)) func(*fleetv1.Fleet) {
	return func(f *fleetv1.Fleet) {
		for _, change := range changes {
			change(&f.Spec.Flux.Upgrade)
		}
	}
}

// soaks adds a ring of all clusters.
func soaks(name string, soak time.Duration) func(*fleetv1.FluxUpgrade) {
	return func(u *fleetv1.FluxUpgrade) {
		u.Rings = append(u.Rings, fleetv1.UpgradeRing{Name: name, Soak: metav1.Duration{Duration: soak}})
	}
}

func layersAre(layers ...fleetv1.Layer) func(*fleetv1.Fleet) {
	return func(f *fleetv1.Fleet) { f.Spec.Layers = layers }
}

// redacts makes rules of patterns, all of one name.
func redacts(patterns ...string) func(*fleetv1.Fleet) {
	return func(f *fleetv1.Fleet) {
		for _, pattern := range patterns {
			f.Spec.Events.Redact = append(f.Spec.Events.Redact, fleetv1.RedactRule{Name: "rule", Pattern: pattern})
		}
	}
}

// A Fleet from before a rule of the API server, or from one with other regular expressions.
func TestSettingsThatAgentsCannotUseAreToldOf(t *testing.T) {
	fleet := newFleet(nil)
	if got := settings(fleet); got.State != steps.Done {
		t.Errorf("without settings: %+v", got)
	}
	redacts(`x`, `(x`)(fleet)
	got := settings(fleet)
	if got.State != steps.Blocked || got.Reason != fleetv1.ReasonSettingsInvalid {
		t.Errorf("outcome %+v", got)
	}
	for _, part := range []string{"spec.events.redact[1] (rule)", "missing closing )", "mend the pattern"} {
		if !strings.Contains(got.Message, part) {
			t.Errorf("message %q lacks %q", got.Message, part)
		}
	}
}

func hasDefaults(t *testing.T, s *suite) {
	fleet := newFleet(func(spec *fleetv1.FleetSpec) {
		spec.Flux, spec.Events = fleetv1.FluxDistribution{}, fleetv1.Events{}
		spec.Layers = []fleetv1.Layer{{Name: "network"}, {Name: "ingress", DependsOn: []string{"network"}}}
	})
	platformtest.Create(t, s.c, fleet)
	defer func() {
		if err := s.c.Delete(t.Context(), fleet); err != nil {
			t.Error(err)
		}
	}()
	want := fleetv1.FleetSpec{
		ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git", Branch: "main", Interval: metav1.Duration{Duration: time.Minute}},
		Flux: fleetv1.FluxDistribution{
			Artifact: "oci://ghcr.io/fluxcd/flux-manifests", Version: "2.9.x", Registry: "ghcr.io/fluxcd",
			Components: []fleetv1.FluxComponent{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"},
			Upgrade:    fleetv1.FluxUpgrade{MaxConcurrent: ptr.To(intstr.FromInt32(10)), Timeout: metav1.Duration{Duration: 10 * time.Minute}},
		},
		Events:    fleetv1.Events{Retention: metav1.Duration{Duration: 720 * time.Hour}},
		Heartbeat: fleetv1.Heartbeat{Interval: metav1.Duration{Duration: 15 * time.Second}, MissesUntilUnknown: 3},
		Ownership: fleetv1.Ownership{PlatformTeam: "platform", PlatformNamespaces: []string{"flux-system", "fairway-system", "kube-system"}},

		ClusterProfiles: fleetv1.ClusterProfilesNone,
		Layers: []fleetv1.Layer{
			{Name: "network", Interval: metav1.Duration{Duration: 10 * time.Minute}, Timeout: metav1.Duration{Duration: 5 * time.Minute}},
			{Name: "ingress", DependsOn: []string{"network"}, Interval: metav1.Duration{Duration: 10 * time.Minute}, Timeout: metav1.Duration{Duration: 5 * time.Minute}},
		},
	}
	if diff := cmp.Diff(want, fleet.Spec); diff != "" {
		t.Errorf("spec (-want +have):\n%s", diff)
	}
}

func tellsOfRepository(t *testing.T, s *suite) {
	fleet := newFleet(nil)
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{
		fleetv1.ConditionConfigRepositoryReady: "False/RepositoryUnreadable", fleetv1.ConditionFluxArtifactReady: "False/FluxArtifactFailed",
		fleetv1.ConditionEventsReady: "True/Succeeded", fleetv1.ConditionSettingsAccepted: "True/Succeeded", fleetv1.ConditionClustersRegistered: "Unknown/ClusterAPINotInstalled",
		"Ready": "False/RepositoryUnreadable", "Reconciling": "True/RepositoryUnreadable", "Stalled": "none",
	})
	for _, name := range []string{"fairway-keys", "fairway-hub"} {
		if err := s.c.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: name}, &corev1.Secret{}); err != nil {
			t.Errorf("Secret %s: %v", name, err)
		}
	}
}

func tellsOfSecret(t *testing.T, s *suite) {
	fleet := newFleet(func(spec *fleetv1.FleetSpec) {
		spec.ConfigRepository.SecretRef = &meta.LocalObjectReference{Name: "git"}
	})
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionConfigRepositoryReady: "False/SecretNotFound"})
	if text := message(fleet, fleetv1.ConditionConfigRepositoryReady); !strings.Contains(text, "fairway-system/git") {
		t.Errorf("the message does not name the Secret: %s", text)
	}
	writing := newFleet(func(spec *fleetv1.FleetSpec) {
		spec.ConfigRepository.WriteSecretRef = &meta.LocalObjectReference{Name: "git-write"}
	})
	if got := s.writeSecretMissing(t.Context(), writing.Spec.ConfigRepository.WriteSecretRef); got == nil || got.Reason != fleetv1.ReasonSecretMissing ||
		!strings.Contains(got.Message, "fairway-system/git-write of spec.configRepository.writeSecretRef") {
		t.Errorf("of the Secret to write with: %+v", got)
	}
}

// registry serves a list of tags, as a registry outside does.
func registry(t *testing.T, tags ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(map[string]any{"name": "flux", "tags": tags}); err != nil {
				t.Error(err)
			}
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("ab", 32))
			w.Header().Set("Content-Length", "2")
		default:
			w.WriteHeader(http.StatusOK)
		}
	}))
	t.Cleanup(server.Close)
	return "oci://" + strings.TrimPrefix(server.URL, "http://") + "/flux"
}

func tellsOfVersions(t *testing.T, s *suite) {
	fleet := newFleet(func(spec *fleetv1.FleetSpec) { spec.Flux.Artifact = registry(t, "v2.8.1", "latest") })
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionFluxArtifactReady: "False/VersionNotFound"})
	if text := message(fleet, fleetv1.ConditionFluxArtifactReady); !strings.Contains(text, "v2.8.1") {
		t.Errorf("the message does not say what there is: %s", text)
	}
}

func tellsOfAddress(t *testing.T, s *suite) {
	fleet := newFleet(func(spec *fleetv1.FleetSpec) { spec.Events.URL = "" })
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionEventsReady: "False/EventsAddressUnknown"})
}

func tellsOfBus(t *testing.T, s *suite) {
	s.bus.err = errors.New("connection refused")
	defer func() { s.bus.err = nil }()
	fleet := newFleet(nil)
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionEventsReady: "False/EventsUnreachable"})
}

func writesNothing(t *testing.T, s *suite) {
	fleet := newFleet(func(spec *fleetv1.FleetSpec) { spec.Flux.Artifact = registry(t, "v2.9.4", "v2.9.5") })
	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	if fleet.Status.FluxVersion != "v2.9.5" {
		t.Errorf("Flux version is %q", fleet.Status.FluxVersion)
	}
	before := s.versionsOfEverything(t)
	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	if diff := cmp.Diff(before, s.versionsOfEverything(t)); diff != "" {
		t.Errorf("a second pass wrote (-before +after):\n%s", diff)
	}
}

func (s *suite) versionsOfEverything(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	var secrets corev1.SecretList
	var maps corev1.ConfigMapList
	var fleets fleetv1.FleetList
	if err := errors.Join(s.c.List(t.Context(), &secrets), s.c.List(t.Context(), &maps), s.c.List(t.Context(), &fleets)); err != nil {
		t.Fatal(err)
	}
	for _, each := range secrets.Items {
		out["Secret "+each.Name] = each.ResourceVersion
	}
	for _, each := range maps.Items {
		out["ConfigMap "+each.Name] = each.ResourceVersion
	}
	for _, each := range fleets.Items {
		out["Fleet "+each.Name] = each.ResourceVersion
	}
	return out
}

func keepsKeys(t *testing.T, s *suite) {
	var keys corev1.Secret
	if err := s.c.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-keys"}, &keys); err != nil {
		t.Fatal(err)
	}
	whole := keys.DeepCopy()
	delete(keys.Data, "account.seed")
	if err := s.c.Update(t.Context(), &keys); err != nil {
		t.Fatal(err)
	}
	fleet := newFleet(nil)
	if err := s.pass(t, fleet); err == nil {
		t.Error("it is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionEventsReady: "False/KeysDamaged", "Stalled": "True/KeysDamaged"})
	if text := message(fleet, fleetv1.ConditionEventsReady); !strings.Contains(text, "account.seed") {
		t.Errorf("the message does not name what is missing: %s", text)
	}
	whole.ResourceVersion = ""
	if err := s.c.Update(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, fleet *fleetv1.Fleet, want map[string]string) {
	t.Helper()
	have := map[string]string{}
	for condition := range want {
		have[condition] = "none"
		if c := apimeta.FindStatusCondition(fleet.Status.Conditions, condition); c != nil {
			have[condition] = string(c.Status) + "/" + c.Reason
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("conditions (-want +have):\n%s\n%+v", diff, fleet.Status.Conditions)
	}
}

func message(fleet *fleetv1.Fleet, condition string) string {
	if c := apimeta.FindStatusCondition(fleet.Status.Conditions, condition); c != nil {
		return c.Message
	}
	return ""
}

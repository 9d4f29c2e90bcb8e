package install

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const (
	operatorAccount = "system:serviceaccount:fairway-system:fairway-operator"
	hubAccount      = "system:serviceaccount:fairway-system:fairway-hub"
)

// as is a client of somebody.
func as(t *testing.T, config *rest.Config, user string) client.Client {
	t.Helper()
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, fleetv1.AddToScheme} {
		if err := add(types); err != nil {
			t.Fatal(err)
		}
	}
	config = rest.CopyConfig(config)
	if config.Impersonate.UserName = user; user != "" {
		config.Impersonate.Groups = []string{"system:authenticated"}
	}
	c, err := client.New(config, client.Options{Scheme: types})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newTeam makes the namespace payments, where dev, other and boss may release, and boss may approve; and the hub may make Releases.
func newTeam(t *testing.T, c client.Client) {
	t.Helper()
	bind := func(name, role string, users ...string) *rbacv1.RoleBinding {
		out := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}}
		for _, user := range users {
			out.Subjects = append(out.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: user})
		}
		return out
	}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "payments"}},
		bind("edit", "fairway-edit", "dev", "other", "boss", hubAccount), bind("approve", "fairway-admin", "boss", "dev"),
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

// asked is a Release that somebody asks for.
func asked(by string, intent fleetv1.Intent, approvals ...fleetv1.Approval) *fleetv1.Release {
	return &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", GenerateName: "ledger-"}, Spec: fleetv1.ReleaseSpec{
		Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod", Intent: intent, RequestedBy: by, Approvals: approvals,
	}}
}

func approval(by string) fleetv1.Approval {
	return fleetv1.Approval{By: by, At: metav1.Time{Time: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}}
}

// holdsToTheTruth tries to ask and to approve in the name of others.
func holdsToTheTruth(t *testing.T, config *rest.Config) {
	newTeam(t, as(t, config, ""))
	refusedSoon(t, as(t, config, "dev"), func() client.Object { return asked("boss", fleetv1.IntentRelease) }, "you are dev")
	for name, what := range map[string]struct {
		by   string
		ask  *fleetv1.Release
		says string // empty: it is let in
	}{
		"who asks may":                          {"dev", asked("dev", fleetv1.IntentRelease), ""},
		"nobody asks in the name of another":    {"other", asked("dev", fleetv1.IntentRelease), "spec.requestedBy must be who asks: you are other"},
		"the hub names who called it":           {hubAccount, asked("dev", fleetv1.IntentRelease), ""},
		"the operator names the policy":         {operatorAccount, asked("policy:payments/ledger", fleetv1.IntentAutoRelease), ""},
		"nobody else releases by itself":        {"dev", asked("dev", fleetv1.IntentAutoRelease), "the intent AutoRelease is for what a ReleasePolicy releases by itself"},
		"nor does the hub":                      {hubAccount, asked("dev", fleetv1.IntentAutoRelease), "the intent AutoRelease"},
		"nobody approves their own":             {"dev", asked("dev", fleetv1.IntentRelease, approval("dev")), "four eyes: dev asked for this release"},
		"nobody brings another's approval":      {"dev", asked("dev", fleetv1.IntentRelease, approval("boss")), "an approval is given by nobody but who approves: you are dev"},
		"the operator approves nothing, either": {operatorAccount, asked("policy:payments/ledger", fleetv1.IntentAutoRelease, approval("boss")), "an approval is given by nobody but who approves"},
	} {
		t.Run(name, func(t *testing.T) { admitted(t, as(t, config, what.by).Create(t.Context(), what.ask), what.says) })
	}
	t.Run("an approval", func(t *testing.T) { approves(t, config) })
}

// admitted says whether a request was let in, or refused in these words.
func admitted(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("it is refused: %v", err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
		t.Errorf("error %v, want one that says %q", err, says)
	}
}

// refusedSoon waits until the API server has learned of an admission policy.
func refusedSoon(t *testing.T, c client.Client, make func() client.Object, says string) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = c.Create(ctx, make())
		return last != nil && strings.Contains(last.Error(), says), nil
	})
	if err != nil {
		t.Fatalf("it is not refused: %v", last)
	}
}

// approves tries approvals of one Release, which dev asked for.
func approves(t *testing.T, config *rest.Config) {
	obj := asked("dev", fleetv1.IntentRelease)
	if err := as(t, config, "dev").Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	add := func(by string, all ...fleetv1.Approval) error {
		patch := client.MergeFrom(obj.DeepCopy())
		changed := obj.DeepCopy()
		changed.Spec.Approvals = all
		err := as(t, config, by).Patch(t.Context(), changed, patch)
		if err == nil {
			obj = changed
		}
		return err
	}
	retold := approval("boss")
	retold.Message = "I never said that"
	for _, step := range []struct {
		name, by string
		all      []fleetv1.Approval
		says     string
	}{
		{"is not given by who may not approve", "other", []fleetv1.Approval{approval("other")}, "to approve takes the verb approve on releases.fleet.fairway.dev in the namespace payments, which other has not"},
		{"is not given by who asked", "dev", []fleetv1.Approval{approval("dev")}, "four eyes"},
		{"is not given for another", "dev", []fleetv1.Approval{approval("boss")}, "an approval is given by nobody but who approves"},
		{"is given by who may", "boss", []fleetv1.Approval{approval("boss")}, ""},
		{"is not retold by another", "other", []fleetv1.Approval{retold}, "an approval is given by nobody but who approves"},
		{"is not taken back", "boss", nil, "an approval that was given stays"},
	} {
		t.Run(step.name, func(t *testing.T) { admitted(t, add(step.by, step.all...), step.says) })
	}
	t.Run("that was given does not keep others from holding the release", func(t *testing.T) {
		patch := client.MergeFrom(obj.DeepCopy())
		obj.Spec.Suspend = true
		admitted(t, as(t, config, "other").Patch(t.Context(), obj, patch), "")
	})
}

// refusesContradictions tries policies beside an Environment that lets in main only.
func refusesContradictions(t *testing.T, config *rest.Config) {
	c := as(t, config, "")
	env := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "prod"}, Spec: fleetv1.EnvironmentSpec{Branches: "main|release-.*"}}
	open := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "staging"}, Spec: fleetv1.EnvironmentSpec{OnFailure: fleetv1.OnFailureHalt}}
	for _, obj := range []client.Object{env, open} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	policy := func(branches map[string]fleetv1.BranchPattern, auto ...fleetv1.AutoRelease) *fleetv1.ReleasePolicy {
		return &fleetv1.ReleasePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", GenerateName: "ledger-"},
			Spec: fleetv1.ReleasePolicySpec{Service: "ledger", AutoRelease: auto, Branches: branches}}
	}
	auto := func(branch, environment string) fleetv1.AutoRelease {
		return fleetv1.AutoRelease{Branch: branch, Environment: environment}
	}
	const refusal = "releases branch feature to prod by itself, and Environment prod (spec.branches) lets in only branches that match main|release-.*"
	refusedSoon(t, c, func() client.Object { return policy(nil, auto("feature", "prod")) }, refusal)
	for name, what := range map[string]struct {
		policy *fleetv1.ReleasePolicy
		says   string
	}{
		"what is let in":                         {policy(nil, auto("main", "prod")), ""},
		"what another alternative lets in":       {policy(nil, auto("release-2", "prod")), ""},
		"an environment that lets in everything": {policy(nil, auto("feature", "staging")), ""},
		"an environment that is not there":       {policy(nil, auto("feature", "nowhere")), ""},
		"what is not let in":                     {policy(nil, auto("feature", "prod")), refusal},
		"what only a part of a branch matches":   {policy(nil, auto("mainline", "prod")), "lets in only branches"},
		"what the policy itself does not let in": {policy(map[string]fleetv1.BranchPattern{"staging": "main"}, auto("feature", "staging")),
			"its own spec.branches lets into Environment staging only branches that match main"},
		"what the policy itself lets in": {policy(map[string]fleetv1.BranchPattern{"staging": "main"}, auto("main", "staging")), ""},
	} {
		t.Run(name, func(t *testing.T) { admitted(t, c.Create(t.Context(), what.policy), what.says) })
	}
}

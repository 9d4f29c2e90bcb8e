package observe

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

func TestOwnership(t *testing.T) {
	root := kustomization("main@sha1:a", "main@sha1:a", condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "", 1))
	root.Labels = map[string]string{"fleet.fairway.dev/team": "platform"}
	owned := map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "pay"}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{owned, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		labels, template map[string]string
		opts             Options
		want             Ownership
	}{
		"its own labels come first": {
			labels: with(map[string]string{"fleet.fairway.dev/team": "payments", "fleet.fairway.dev/service": "book", "fleet.fairway.dev/artifact": "a1"}),
			want:   Ownership{Team: "payments", Service: "book", Artifact: "a1"}},
		"then its pod template's": {
			labels: with(nil), template: map[string]string{"squad": "payments", "lunarway.com/artifact-id": "main-4f1c"},
			want: Ownership{Team: "payments", Service: "ledger", Artifact: "main-4f1c"}},
		"then the Kustomization's; the service is the app's name": {
			labels: with(map[string]string{"app.kubernetes.io/name": "book"}), want: Ownership{Team: "platform", Service: "book"}},
		"then the cluster's default":    {opts: Options{Default: Ownership{Team: "ops"}}, want: Ownership{Team: "ops", Service: "ledger"}},
		"what has no owner is nobody's": {want: Ownership{}},
		"what is in a namespace of the platform is the platform's, and no service": {
			opts: Options{Platform: Platform{Team: "platform", Namespaces: []string{"kube-system", "pay"}}, Default: Ownership{Team: "ops"}}, want: Ownership{Team: "platform"}},
		"labels come before the platform": {
			labels: map[string]string{"squad": "risk"}, opts: Options{Platform: Platform{Team: "platform", Namespaces: []string{"pay"}}},
			want: Ownership{Team: "risk", Service: "ledger"}},
		"other names of a team are read as the team": {
			labels: map[string]string{"squad": "squad-pay"}, opts: Options{Labels: Labels{Aliases: map[string]string{"squad-pay": "payments"}}},
			want: Ownership{Team: "payments", Service: "ledger"}},
		"label names can be added": {
			labels: map[string]string{"example.com/owner": "risk", "fleet.fairway.dev/team": "other"},
			opts:   Options{Labels: Labels{Team: []string{"example.com/owner"}}}, want: Ownership{Team: "risk", Service: "ledger"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := New(c.opts)
			o.Apply(root, sec(1))
			d := deployment(1, 1, 1, func(d *appsv1.Deployment) { d.Labels, d.Spec.Template.Labels = c.labels, c.template })
			got := o.Apply(d, sec(2)).Drafts[0]
			if diff := cmp.Diff(c.want, got.Ownership); diff != "" {
				t.Errorf("ownership (-want +got):\n%s", diff)
			}
			if want := c.labels[owned["none"]+"kustomize.toolkit.fluxcd.io/name"]; want != "" && got.Revision != "main@sha1:a" {
				t.Errorf("revision = %q, want that of the Kustomization", got.Revision)
			}
		})
	}
}

// owners writes drafts as "object: team/service".
func owners(drafts []Draft) []string {
	var out []string
	for _, d := range drafts {
		out = append(out, d.Type.What()+" "+d.Object.String()+": "+d.Team+"/"+d.Service)
	}
	return out
}

func TestOwnershipComesDownWhenItIsKnown(t *testing.T) {
	by := func(kind, name string) map[string]string {
		group := map[string]string{"Kustomization": "kustomize.toolkit.fluxcd.io", "HelmRelease": "helm.toolkit.fluxcd.io"}[kind]
		return map[string]string{group + "/name": name, group + "/namespace": "pay"}
	}
	well := condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "", 1)
	apps := func(team string) *kustomizev1.Kustomization {
		k := kustomization("main@sha1:a", "main@sha1:a", well)
		if team != "" {
			k.Labels = map[string]string{"squad": team}
		}
		return k
	}
	redis := helmRelease("1.0.0", well)
	redis.Labels = by("Kustomization", "apps")
	ledger := deployment(1, 1, 1, func(d *appsv1.Deployment) { d.Labels = by("HelmRelease", "redis") })
	o := New(Options{Cluster: "c1"})
	for i, s := range []struct {
		at    int
		apply Object
		want  []string
	}{
		{0, ledger, words("available Deployment/pay/ledger: /")},
		{1, pod("aaaaa", app(1, backOff, dead(1, 0, 1))), words("opened Deployment/pay/ledger: /")},
		{2, redis, words("succeeded HelmRelease/pay/redis: /")},
		{3, apps(""), words("succeeded Kustomization/pay/apps: /")},
		{70, apps("payments"), words("succeeded Kustomization/pay/apps: payments/", "succeeded HelmRelease/pay/redis: payments/",
			"available Deployment/pay/ledger: payments/ledger", "changed Deployment/pay/ledger: payments/ledger")},
		{71, apps("payments"), nil},
		{72, ledger, nil},
		{73, redis, nil},
		{200, apps("cards"), words("succeeded Kustomization/pay/apps: cards/", "succeeded HelmRelease/pay/redis: cards/",
			"available Deployment/pay/ledger: cards/ledger", "changed Deployment/pay/ledger: cards/ledger")},
	} {
		if diff := cmp.Diff(s.want, owners(o.Apply(s.apply, sec(s.at)).Drafts)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i+1, diff)
		}
	}
	if diff := cmp.Diff(words("removed Deployment/pay/ledger: cards/ledger"), owners(o.Remove(ledger, sec(300)).Drafts)[1:]); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if got := owners(o.Apply(apps("risk"), sec(400)).Drafts); len(got) != 2 {
		t.Errorf("what is removed is still told of: %q", got)
	}
}

func TestAPlatformKustomizationMakesNothingElsewhereThePlatforms(t *testing.T) {
	o := New(Options{Platform: Platform{Team: "platform", Namespaces: []string{"flux-system"}}})
	k := kustomization("main@sha1:a", "main@sha1:a", condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "", 1))
	k.Namespace = "flux-system"
	d := deployment(1, 1, 1, func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
	})
	got := append(owners(o.Apply(k, sec(1)).Drafts), owners(o.Apply(d, sec(2)).Drafts)...)
	if diff := cmp.Diff(words("succeeded Kustomization/flux-system/apps: platform/", "available Deployment/pay/ledger: /"), got); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestCirclesOfFluxObjectsEnd(t *testing.T) {
	o := New(Options{})
	for i, name := range []string{"a", "b", "a"} {
		k := kustomization("main@sha1:a", "main@sha1:a")
		k.Name = name
		k.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": map[string]string{"a": "b", "b": "a"}[name], "kustomize.toolkit.fluxcd.io/namespace": "pay", "squad": name + string(rune('0'+i))}
		o.Apply(k, sec(i))
	}
	if n := len(o.Snapshot()); n != 3 {
		t.Errorf("%d entries", n)
	}
}

func TestOwnershipComesDownAfterARestartToo(t *testing.T) {
	apps := func(team string) *kustomizev1.Kustomization {
		k := kustomization("main@sha1:a", "main@sha1:a", condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "", 1))
		k.Labels = map[string]string{"squad": team}
		return k
	}
	ledger := deployment(1, 1, 1, func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "pay"}
	})
	before, told := New(Options{Cluster: "c1"}), memory{}
	for _, obj := range []Object{apps("payments"), ledger} {
		told.take(t, before.Apply(obj, sec(1)).Drafts)
	}
	cluster := map[event.Object]Object{
		{Kind: "Kustomization", Namespace: "pay", Name: "apps"}: apps("payments"), {Kind: "Deployment", Namespace: "pay", Name: "ledger"}: ledger,
	}
	after, drafts := restart(t, told, cluster, 100)
	if len(drafts) != 0 {
		t.Errorf("a restart tells %q", owners(drafts))
	}
	want := words("succeeded Kustomization/pay/apps: cards/", "available Deployment/pay/ledger: cards/ledger")
	if diff := cmp.Diff(want, owners(after.Apply(apps("cards"), sec(200)).Drafts)); diff != "" {
		t.Errorf("another label after a restart (-want +got):\n%s", diff)
	}
}

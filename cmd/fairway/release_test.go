package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// teamwork is a platform on which the team payments releases its service ledger.
type teamwork struct {
	*platform
	ids map[string]string // of artifacts, by the content of their one file
}

func startTeam(t *testing.T) *teamwork {
	t.Helper()
	w := &teamwork{platform: startPlatform(t), ids: map[string]string{}}
	t.Chdir(t.TempDir())
	registry := ocitest.Start(t)
	w.Namespace(t, "payments")
	platformtest.Create(t, w.Client, &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git"},
			Artifacts:        &fleetv1.ArtifactStore{URL: registry.URL("artifacts")},
		},
	})
	for _, e := range promotionPath() {
		clusters := e.Status
		platformtest.Create(t, w.Client, &e)
		e.Status = clusters
		if err := w.Client.Status().Update(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
	}
	store, err := artifact.New(registry.URL("artifacts"), artifact.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	for i, branch := range []string{"main", "main", "feature/rates"} {
		content := "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c" + string(rune('1'+i)) + "}\n"
		made := metav1.NewTime(now.Add(time.Duration(i) * time.Hour))
		pushed, err := store.Push(t.Context(), "payments", "ledger", fstest.MapFS{"a.yaml": {Data: []byte(content)}},
			artifact.Metadata{Branch: branch, Commit: strings.Repeat(string(rune('a'+i)), 40), Author: "Ada <ada@example.com>", Created: &made})
		if err != nil {
			t.Fatal(err)
		}
		w.ids[string(rune('1'+i))] = pushed.ID
	}
	return w
}

// follows makes a cluster that follows the config repository.
func (w *teamwork) follows(t *testing.T, id, environment string) {
	t.Helper()
	c := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: id},
		Spec: fleetv1.WorkloadClusterSpec{Environment: environment, Access: fleetv1.Access{ClusterRef: &meta.LocalObjectReference{Name: id}}}}
	platformtest.Create(t, w.Client, c)
	c.Status.Flux.Revision = "main@sha1:77ee55ff"
	if err := w.Client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// asked are the Releases there are, newest first.
func (w *teamwork) asked(t *testing.T) []fleetv1.Release {
	t.Helper()
	var list fleetv1.ReleaseList
	if err := w.Client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	newestFirst(list.Items)
	return list.Items
}

// newer waits until what is asked for next is newer than what was asked for before: of the same second nobody can tell.
func (w *teamwork) newer(t *testing.T) {
	t.Helper()
	for _, asked := range w.asked(t) {
		select {
		case <-time.After(time.Until(asked.CreationTimestamp.Add(time.Second))):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// clear deletes all Releases.
func (w *teamwork) clear(t *testing.T) {
	t.Helper()
	if err := w.Client.DeleteAllOf(t.Context(), &fleetv1.Release{}, client.InNamespace("payments")); err != nil {
		t.Fatal(err)
	}
}

// report writes the status of a Release, as the operator does.
func (w *teamwork) report(t *testing.T, name string, as fleetv1.Release) {
	t.Helper()
	r := &fleetv1.Release{}
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: name}, r); err != nil {
		t.Fatal(err)
	}
	r.Status = as.Status
	for i := range r.Status.Conditions {
		r.Status.Conditions[i].LastTransitionTime = metav1.NewTime(now)
	}
	if err := w.Client.Status().Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// TestReleasing runs on a real API server and a real registry. Its cases follow each other.
func TestReleasing(t *testing.T) {
	w := startTeam(t)
	t.Run("what is not there is named, with what looks like it", func(t *testing.T) { w.refusesWhatIsNotThere(t) })
	t.Run("a branch gives its newest artifact, and the caller is named", func(t *testing.T) { w.releasesABranch(t) })
	w.clear(t)
	t.Run("of several environments none is asked when one is refused", func(t *testing.T) { w.releasesToSeveral(t) })
	w.clear(t)
	t.Run("a promotion takes what runs, a rollback what ran", func(t *testing.T) { w.promotesAndRollsBack(t) })
	t.Run("status says what is known", func(t *testing.T) { w.saysItsStatus(t) })
	w.clear(t)
	t.Run("someone else approves", func(t *testing.T) { w.approves(t) })
	w.clear(t)
	t.Run("policies", func(t *testing.T) { w.hasPolicies(t) })
	t.Run("completion", func(t *testing.T) { w.completes(t) })
}

func (w *teamwork) refusesWhatIsNotThere(t *testing.T) {
	for args, want := range map[string]string{
		"release payments/ledger --branch main --env stagin":                    "✗ find environment \"stagin\": there is none of that name\n► did you mean staging? Or list them: kubectl get environments\n",
		"release payments/ledger --branch maim --env dev":                       "✗ find artifact of branch \"maim\": there is none of that name\n► did you mean main? Or list them: fairway artifact list payments/ledger\n",
		"release payments/ledgr --branch main --env dev":                        "✗ find service \"payments/ledgr\": there is none of that name\n► list them: fairway get services; its first artifact: fairway artifact push\n",
		"release payments/ledger --artifact main-aaaaaaa-0000 --env dev":        "✗ find artifact \"main-aaaaaaa-0000\": there is none of that name\n► did you mean " + w.ids["1"],
		"promote payments/ledger --to dev":                                      "✗ promote: the Environment dev promotes from none: say --from\n",
		"promote payments/ledger --to prd":                                      "✗ find environment \"prd\": there is none of that name\n► did you mean prod?",
		"promote payments/ledger --to prod":                                     "✗ promote payments/ledger from staging: no release of it has succeeded there\n",
		"rollback payments/ledger --env prod":                                   "✗ roll back payments/ledger in prod: nothing was released there yet\n",
		"approve payments/ledger --env prod":                                    "✗ find release or service \"payments/ledger\": there is none of that name\n",
		"history payments/ledger":                                               "✗ find service \"payments/ledger\": there is none of that name\n",
		"policy delete auto-release payments/ledger --env dev":                  "✗ policy delete auto-release: payments/ledger has no auto-release in dev\n",
		"policy apply auto-release payments/ledger --branch main --env nowhere": "✗ find environment \"nowhere\": there is none of that name\n",
		"release payments/ledger --branch main --env dev --as nobody":           "⚠ you may not list Environments",
	} {
		if got := w.fairway(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v\nwant %q", args, got, want)
		}
	}
	if asked := w.asked(t); len(asked) > 0 {
		t.Errorf("there are Releases all the same: %+v", asked)
	}
}

func (w *teamwork) releasesABranch(t *testing.T) {
	got := w.fairway(t, "release payments/ledger --branch main --env staging -m rates -o name")
	asked := w.asked(t)
	if got.code != 0 || len(asked) != 1 {
		t.Fatalf("%+v, Releases %v", got, asked)
	}
	want := fleetv1.ReleaseSpec{Service: "ledger", Artifact: w.ids["2"], Environment: "staging", Intent: fleetv1.IntentRelease, RequestedBy: "fairway", Message: "rates"}
	if diff := cmp.Diff(want, asked[0].Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	name := releaseName(&asked[0])
	if got.out != "release/"+name+"\n" || !strings.Contains(got.errOut, "✔ "+w.ids["2"]+", commit bbbbbbb by Ada <ada@example.com> is the newest artifact of main\n") ||
		!strings.HasSuffix(got.errOut, "✔ "+name+" asks for "+w.ids["2"]+" in staging\n► how it goes: fairway status payments/ledger\n") {
		t.Errorf("%+v", got)
	}
	got = w.fairway(t, "release ledger -n payments --artifact "+w.ids["1"]+" --env dev --as dev --as-group system:masters -o json")
	if got.code != 0 || !strings.Contains(got.out, `"requestedBy": "dev"`) || strings.Contains(got.out, "managedFields") {
		t.Errorf("as somebody else: %+v", got)
	}
}

func (w *teamwork) releasesToSeveral(t *testing.T) {
	w.reject(t, "staging", w.ids["3"])
	got := w.fairway(t, "release payments/ledger --artifact "+w.ids["3"]+" --env dev,staging")
	if got.code != 1 || got.out != "" || !strings.Contains(got.errOut, "✗ ask for payments/ledger in staging: ") || len(w.asked(t)) > 0 {
		t.Errorf("%+v, Releases %v", got, w.asked(t))
	}
	got = w.fairway(t, "release payments/ledger --artifact "+w.ids["3"]+" --env dev --env prod")
	var to []string
	for _, r := range w.asked(t) {
		to = append(to, r.Spec.Environment)
	}
	if slices.Sort(to); got.code != 0 || !slices.Equal(to, []string{"dev", "prod"}) {
		t.Errorf("%+v, to %v", got, to)
	}
}

func (w *teamwork) promotesAndRollsBack(t *testing.T) {
	release := func(artifact, environment string, targets ...fleetv1.Target) string {
		t.Helper()
		r := release("", environment, artifact, fleetv1.PhaseSucceeded, 0, targets...)
		r.ObjectMeta = metav1.ObjectMeta{Namespace: "payments", GenerateName: "ledger-"}
		status := r
		platformtest.Create(t, w.Client, &r)
		w.report(t, r.Name, status)
		return r.Name
	}
	release(w.ids["1"], "prod", target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetAvailable))
	release(w.ids["2"], "staging", target("staging-aws", fleetv1.TargetAvailable))
	w.newer(t)
	got := w.fairway(t, "promote payments/ledger --to prod -o json")
	if got.code != 0 || !strings.HasPrefix(got.errOut, "✔ staging runs "+w.ids["2"]+"\n") || !strings.Contains(got.out, `"from": "staging"`) || !strings.Contains(got.out, `"intent": "Promote"`) {
		t.Fatalf("%+v", got)
	}
	promoted := strings.Split(strings.SplitN(got.errOut, "✔ payments/", 2)[1], " ")[0]
	w.report(t, promoted, succeeded(w.ids["2"]))
	w.newer(t)
	got = w.fairway(t, "rollback payments/ledger --env prod -o json")
	if got.code != 0 || !strings.HasPrefix(got.errOut, "✔ back to "+w.ids["1"]+", which payments/ledger-") || !strings.Contains(got.out, `"intent": "Rollback"`) {
		t.Errorf("%+v", got)
	}
	got = w.fairway(t, "rollback payments/ledger --env prod --artifact "+w.ids["3"])
	if got.code != 1 || !strings.HasPrefix(got.errOut, "✗ find artifact that succeeded in prod \""+w.ids["3"]+"\"") {
		t.Errorf("to what never ran there: %+v", got)
	}
	got = w.fairway(t, "history payments/ledger --environment prod --limit 2 -o name")
	if got.code != 0 || strings.Count(got.out, "release/payments/ledger-") != 2 || got.errOut != "► 1 release more, older: --limit 0 lists all\n" {
		t.Errorf("history: %+v", got)
	}
}

// succeeded is a success in prod.
func succeeded(artifact string) fleetv1.Release {
	return release("", "prod", artifact, fleetv1.PhaseSucceeded, 0, target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetAvailable))
}

func (w *teamwork) saysItsStatus(t *testing.T) {
	h := startHub(t)
	h.anyone = true
	h.bodies["/api/v1/services"] = rest.ServiceList{Items: []rest.Service{{Team: "payments", Name: "ledger", Clusters: []rest.ServiceCluster{
		{Cluster: "staging-aws", Environment: "staging", Status: rest.Ready, Artifact: w.ids["2"], Desired: 2, Ready: 2, Since: now}}}}}
	with := " --server " + h.server.URL + " --ca-file " + h.ca
	got := w.fairway(t, "status payments/ledger --no-headers --env staging"+with)
	if fields := strings.Fields(got.out); got.code != 0 || got.errOut != "" || !slices.Equal(fields[:6], []string{"staging", "staging-aws", w.ids["2"], w.ids["2"], "2/2", "Ready"}) {
		t.Errorf("%+v", got)
	}
	got = w.fairway(t, "status payments/ledger --no-headers --env staging --server https://127.0.0.1:1")
	if fields := strings.Fields(got.out); got.code != 0 || !strings.HasPrefix(got.errOut, "⚠ what runs is not known: ") || !slices.Equal(fields[:6], []string{"staging", "staging-aws", w.ids["2"], "unknown", "?", "Unknown"}) {
		t.Errorf("without a hub: %+v", got)
	}
	if got := w.fairway(t, "status payments/nobody"+with); got.code != 1 || !strings.HasPrefix(got.errOut, `✗ find service "payments/nobody"`) {
		t.Errorf("%+v", got)
	}
	if got := w.fairway(t, "status payments/ledger --env stagin"+with); got.code != 1 || !strings.Contains(got.errOut, "did you mean staging?") {
		t.Errorf("%+v", got)
	}
	if got := w.fairway(t, "status payments/ledger --env staging --wait"+with); got.code != 0 || !strings.Contains(got.errOut, "✔ "+w.ids["2"]+" is healthy in staging on 1 cluster: staging-aws") {
		t.Errorf("waiting for what has ended: %+v", got)
	}
}

// may gives a user verbs on Releases of the team.
func (w *teamwork) may(t *testing.T, user string, verbs ...string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "payments", Name: user}
	platformtest.Create(t, w.Client, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{fleetv1.GroupVersion.Group}, Resources: []string{"releases"}, Verbs: verbs}}},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}})
}

func (w *teamwork) approves(t *testing.T) {
	w.may(t, "lead", "get", "list", "patch", "approve")
	w.may(t, "reader", "get", "list")
	if got := w.fairway(t, "release payments/ledger --artifact "+w.ids["1"]+" --env prod"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	asked := w.asked(t)[0]
	w.report(t, asked.Name, held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "1 of 1 approvals are missing"))
	for args, want := range map[string]string{
		"approve payments/ledger --env prod":               "✗ approve payments/" + asked.Name + ": you asked for it yourself, as fairway\n► ask someone else who may\n",
		"approve payments/ledger":                          "✗ approve: payments/ledger is a service: say where it is released to, with --env\n",
		"approve payments/ledger --env dev":                "✗ approve payments/ledger: no release of it waits in dev\n",
		"approve payments/" + asked.Name + "x":             "✗ find release or service \"payments/" + asked.Name + "x\": there is none of that name\n► did you mean payments/ledger",
		"approve payments/ledger --env prod --as reader":   "✗ approve payments/" + asked.Name + ": ",
		"approve payments/ledger --env prod --as stranger": "✗ read Release payments/ledger: ",
	} {
		if got := w.fairway(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v\nwant %q", args, got, want)
		}
	}
	got := w.fairway(t, "approve payments/ledger --env prod --as lead -m seen -o name")
	if got.code != 0 || got.out != "release/payments/"+asked.Name+"\n" || !strings.Contains(got.errOut, "✔ lead approves payments/"+asked.Name+": "+w.ids["1"]+" in prod, asked for by fairway\n") {
		t.Errorf("%+v", got)
	}
	if got := w.fairway(t, "approve payments/"+asked.Name+" --as lead"); got.code != 0 || !strings.HasPrefix(got.errOut, "⚠ you have approved it before\n") {
		t.Errorf("once more: %+v", got)
	}
	if given := w.asked(t)[0].Spec.Approvals; len(given) != 1 || given[0].By != "lead" || given[0].Message != "seen" || given[0].At.IsZero() {
		t.Errorf("approvals: %+v", given)
	}
	w.report(t, asked.Name, promoted(fleetv1.PhaseRefused))
	if got := w.fairway(t, "approve payments/"+asked.Name+" --as lead"); got.code != 1 || !strings.Contains(got.errOut, "it has ended: Refused") {
		t.Errorf("what has ended: %+v", got)
	}
}

func (w *teamwork) hasPolicies(t *testing.T) {
	policies := func() map[string]fleetv1.ReleasePolicySpec {
		var list fleetv1.ReleasePolicyList
		if err := w.Client.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		out := map[string]fleetv1.ReleasePolicySpec{}
		for _, p := range list.Items {
			out[p.Name] = p.Spec
		}
		return out
	}
	for _, args := range []string{
		"policy apply auto-release payments/ledger --branch develop --env dev", "policy apply auto-release payments/ledger --branch main --env dev",
		"policy apply branch-restriction payments/ledger --env staging --branch-regex main|release/.*",
	} {
		if got := w.fairway(t, args); got.code != 0 || !strings.HasPrefix(got.errOut, "✔ payments/ledger: ") {
			t.Fatalf("%s: %+v", args, got)
		}
	}
	want := map[string]fleetv1.ReleasePolicySpec{"ledger": {Service: "ledger", AutoRelease: []fleetv1.AutoRelease{{Branch: "main", Environment: "dev"}},
		Branches: map[string]fleetv1.BranchPattern{"staging": "main|release/.*"}}}
	if diff := cmp.Diff(want, policies()); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if got := w.fairway(t, "policy apply auto-release payments/ledger --branch develop --env prod"); got.code != 1 || !strings.Contains(got.errOut, "✗ apply the policy of payments/ledger: ") || !strings.Contains(got.errOut, "prod") {
		t.Errorf("what prod refuses: %+v", got)
	}
	if got := w.fairway(t, "policy apply branch-restriction payments/ledger --env staging --branch-regex ("); got.code != 1 {
		t.Errorf("what is no expression: %+v", got)
	}
	if got := w.fairway(t, "policy list payments/ledger -o name"); got.code != 0 || got.out != "releasepolicy/payments/ledger\n" {
		t.Errorf("%+v", got)
	}
	for id, environment := range map[string]string{"dev-1": "dev", "staging-aws": "staging", awsCluster: "prod"} {
		w.follows(t, id, environment)
	}
	got := w.fairway(t, "policy simulate payments/ledger --branch main -o markdown")
	if got.code != 0 || !strings.Contains(got.out, "- **dev**: goes there by itself") || !strings.Contains(got.out, "- **prod**: may go there when somebody asks for it") {
		t.Errorf("%+v", got)
	}
	if got := w.fairway(t, "policy delete auto-release payments/ledger --env dev"); got.code != 0 || got.out != "releasepolicy/payments/ledger\n" {
		t.Errorf("%+v", got)
	}
	if got := w.fairway(t, "policy delete branch-restriction payments/ledger --env staging"); got.code != 0 || len(policies()) > 0 {
		t.Errorf("%+v, left: %v", got, policies())
	}
}

func (w *teamwork) completes(t *testing.T) {
	if got := w.fairway(t, "release payments/ledger --artifact "+w.ids["1"]+" --env prod"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	name := "payments/" + w.asked(t)[0].Name
	w.report(t, w.asked(t)[0].Name, held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "x"))
	for args, want := range map[string]string{
		"release pay":                              "payments/ledger",
		"history --service pay":                    "payments/ledger",
		"release payments/ledger --env s":          "staging",
		"promote --from d":                         "dev",
		"approve pay":                              name,
		"rollback payments/ledger --artifact feat": w.ids["3"],
		"policy apply auto-release --env st":       "staging",
	} {
		var out, errOut bytes.Buffer
		line := append([]string{"__complete", "--kubeconfig", w.kubeconfig}, strings.Fields(args)...)
		code := run(t.Context(), terminal(), line, &out, &errOut)
		if first, _, _ := strings.Cut(out.String(), "\n"); code != 0 || first != want {
			t.Errorf("%s: %q, want %q; %s", args, out.String(), want, errOut.String())
		}
	}
}

// reject makes the platform take no Release of an artifact to an environment.
func (w *teamwork) reject(t *testing.T, environment, artifact string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "no-" + environment}
	platformtest.Create(t, w.Client,
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{fleetv1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"releases"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "object.spec.environment != '" + environment + "' || object.spec.artifact != '" + artifact + "'", Message: "not today"}},
		}},
		&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}})
	platformtest.Eventually(t, func(ctx context.Context) string { // API servers learn of policies in their own time
		r := newRelease(serviceID{"payments", "ledger"}, artifact, environment, fleetv1.IntentRelease)
		r.GenerateName, r.Spec.RequestedBy = "ledger-", "fairway"
		if err := w.Client.Create(ctx, &r, client.DryRunAll); err == nil {
			return "it is taken"
		}
		return ""
	})
}

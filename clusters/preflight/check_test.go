package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/clusters/team"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: NEW}}
  template:
    metadata: {labels: {app: NEW}}
    spec: {containers: [{name: web, image: "web:1"}]}
`

const monitor = "apiVersion: monitoring.example.com/v1\nkind: Monitor\nmetadata: {name: web}\n"

// member starts a cluster that is ready for the team payments.
func member(t *testing.T) *platformtest.Cluster {
	t.Helper()
	cluster := platformtest.Workload(t)
	cluster.Namespace(t, fleetv1.FluxNamespace)
	if err := team.Apply(t.Context(), cluster.Client, "payments"); err != nil {
		t.Fatal(err)
	}
	return cluster
}

// made is what Build makes of files for the service payments/ledger.
func made(t *testing.T, files map[string][]byte) []*unstructured.Unstructured {
	t.Helper()
	objs, problems := build(files)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return objs
}

// found is what Check says, "CheckFailed: Deployment/payments/web: …".
func found(t *testing.T, c client.Client, files map[string][]byte) []string {
	t.Helper()
	problems, err := Check(t.Context(), c, made(t, files))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, each := range problems {
		out = append(out, each.Reason+": "+each.String())
	}
	return out
}

func expect(t *testing.T, c client.Client, files map[string][]byte, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, found(t, c, files)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// exists makes an object in the namespace payments, as it is built, with other labels.
func exists(t *testing.T, c client.Client, content string, labels map[string]string) {
	t.Helper()
	for _, obj := range made(t, pairs("a.yaml", content)) {
		if labels != nil {
			obj.SetLabels(labels)
		}
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheck(t *testing.T) {
	cluster := member(t)
	for name, run := range map[string]func(*testing.T, *platformtest.Cluster){
		"what the cluster takes is not written":                         takes,
		"a field that the kind does not have":                           refusesField,
		"an immutable field":                                            refusesImmutable,
		"an object of another service":                                  refusesForeign,
		"what is marked for Flux to leave alone":                        leavesAlone,
		"what admission denies, in its words":                           refusesByPolicy,
		"a kind of the whole cluster that kustomize does not know":      refusesOfCluster,
		"a webhook that is down is no problem of the artifact":          webhookDown,
		"a namespace that is not there":                                 withoutNamespace,
		"a cluster that does not answer is no problem of the artifact":  unreachable,
		"what Fairway itself may not try is no problem of the artifact": ownRights,
	} {
		t.Run(name, func(t *testing.T) { run(t, cluster) })
	}
}

func takes(t *testing.T, cluster *platformtest.Cluster) {
	expect(t, cluster.Client, pairs("a.yaml", strings.ReplaceAll(web, "name: web}", "name: new}"), "b.yaml", config("new", "data: {k: v}"),
		"c.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: new}\nstringData: {k: v}\n"))
	for _, list := range []client.ObjectList{&corev1.ConfigMapList{}, &corev1.SecretList{}} {
		if err := cluster.Client.List(t.Context(), list, client.InNamespace("payments"), client.HasLabels{fleetv1.LabelService}); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(list); strings.Contains(text, "Name:new") {
			t.Errorf("written: %s", text)
		}
	}
	if problems, err := Check(t.Context(), cluster.Client, nil); len(problems) > 0 || err != nil {
		t.Errorf("of nothing: %v, %v", problems, err)
	}
}

func refusesField(t *testing.T, cluster *platformtest.Cluster) {
	expect(t, cluster.Client, pairs("a.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {rules: [{host: a, http: {paths: [{path: /, pathType: Maybe, backend: {service: {name: a, port: {number: 80}}}}]}}]}\n",
		"b.yaml", config("UPPER", ""), "c.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {ports: [{port: 80, targetPort: 99999}]}\n"),
		`CheckFailed: Ingress/payments/a: Ingress.networking.k8s.io "a" is invalid: spec.rules[0].http.paths[0].pathType: Unsupported value: "Maybe": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
		`CheckFailed: ConfigMap/payments/UPPER: ConfigMap "UPPER" is invalid: metadata.name: Invalid value: "UPPER": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		`CheckFailed: Service/payments/c: Service "c" is invalid: spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive`)
}

func refusesImmutable(t *testing.T, cluster *platformtest.Cluster) {
	exists(t, cluster.Client, strings.ReplaceAll(web, "NEW", "old"), nil)
	got := found(t, cluster.Client, pairs("a.yaml", web))
	if len(got) != 1 || !strings.HasPrefix(got[0], `CheckFailed: Deployment/payments/web: Deployment.apps "web" is invalid: spec.selector: Invalid value: `) || !strings.HasSuffix(got[0], "field is immutable") {
		t.Errorf("%q", got)
	}
	forced := strings.ReplaceAll(web, "name: web}\n", "name: web, annotations: {kustomize.toolkit.fluxcd.io/force: Enabled}}\n")
	expect(t, cluster.Client, pairs("a.yaml", forced))
	broken := strings.ReplaceAll(forced, "image:", "imagePullPolicy: Perhaps, image:")
	if got := found(t, cluster.Client, pairs("a.yaml", strings.ReplaceAll(broken, "NEW", "old"))); len(got) != 1 || !strings.Contains(got[0], "imagePullPolicy") {
		t.Errorf("what is forced, and wrong: %q", got)
	}
}

func refusesForeign(t *testing.T, cluster *platformtest.Cluster) {
	const name, home = labelKustomization, labelKustomizationHome
	files, labels := map[string][]byte{}, map[string]map[string]string{
		"service":  {fleetv1.LabelTeam: "payments", fleetv1.LabelService: "invoices", name: "payments.invoices", home: "flux-system"},
		"helmed":   {fleetv1.LabelTeam: "payments", fleetv1.LabelService: "invoices"},
		"flux":     {name: "apps", home: "flux-system"},
		"namesake": {name: "payments.ledger", home: "elsewhere"},
		"release":  {"helm.toolkit.fluxcd.io/name": "chart", "helm.toolkit.fluxcd.io/namespace": "apps"},
		"fairways": {flux.LabelManagedBy: "fairway", flux.LabelSet: "team-payments"},
		"ours":     {fleetv1.LabelTeam: "payments", fleetv1.LabelService: "old-name", name: "payments.ledger", home: "flux-system"},
		"by-hand":  {"app.kubernetes.io/managed-by": "Helm"},
	}
	for each, of := range labels {
		exists(t, cluster.Client, config(each, ""), of)
		files[each+".yaml"] = []byte(config(each, ""))
	}
	const rest = "; give it another name, or take it out of there first"
	expect(t, cluster.Client, files,
		"ObjectTaken: ConfigMap/payments/fairways: it is Fairway's own"+rest,
		"ObjectTaken: ConfigMap/payments/flux: it is of the Flux Kustomization flux-system/apps"+rest,
		"ObjectTaken: ConfigMap/payments/helmed: it is of service payments/invoices"+rest,
		"ObjectTaken: ConfigMap/payments/namesake: it is of the Flux Kustomization elsewhere/payments.ledger"+rest,
		"ObjectTaken: ConfigMap/payments/release: it is of the HelmRelease apps/chart"+rest,
		"ObjectTaken: ConfigMap/payments/service: it is of service payments/invoices"+rest)
}

func leavesAlone(t *testing.T, cluster *platformtest.Cluster) {
	files := map[string][]byte{}
	for name, mark := range map[string]string{"off": "kustomize.toolkit.fluxcd.io/reconcile: disabled", "ignored": "kustomize.toolkit.fluxcd.io/ssa: Ignore", "once": "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"} {
		exists(t, cluster.Client, config(name, ""), map[string]string{labelKustomization: "apps"})
		files[name+".yaml"] = []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + mark + "}}\n")
	}
	exists(t, cluster.Client, config("held", ""), map[string]string{labelKustomization: "apps", "kustomize.toolkit.fluxcd.io/reconcile": "disabled"})
	files["held.yaml"] = []byte(config("held", ""))
	expect(t, cluster.Client, files)
	expect(t, cluster.Client, pairs("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: once, annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}}\nspec: {ports: [{port: 80, targetPort: 99999}]}\n"),
		`CheckFailed: Service/payments/once: Service "once" is invalid: spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive`)
}

func refusesByPolicy(t *testing.T, cluster *platformtest.Cluster) {
	meta := metav1.ObjectMeta{Name: "no-latest"}
	configMaps := admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{"*"}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
	platformtest.Create(t, cluster.Client,
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{configMaps}},
			Validations:      []admissionv1.Validation{{Expression: "!has(object.data) || object.data.all(k, k != 'latest')", Message: "latest is no version"}},
		}},
		&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "no-latest", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}})
	want := []string{`CheckFailed: ConfigMap/payments/versions: configmaps "versions" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'no-latest' denied request: latest is no version`}
	platformtest.Eventually(t, func(context.Context) string { // API servers learn of policies in their own time
		return cmp.Diff(want, found(t, cluster.Client, pairs("a.yaml", config("versions", "data: {latest: '1'}"))))
	})
}

func refusesOfCluster(t *testing.T, cluster *platformtest.Cluster) {
	issuer := platformtest.Kind("certs.example.com", "v1", "ClusterIssuer")
	issuer.Spec.Scope = apiextensionsv1.ClusterScoped
	cluster.Install(t, issuer)
	expect(t, cluster.Client, pairs("a.yaml", "apiVersion: certs.example.com/v1\nkind: ClusterIssuer\nmetadata: {name: a}\n"),
		"OutsideTeam: ClusterIssuer/payments/a: a ClusterIssuer is of the whole cluster, which is the platform's; a layer of the platform can have it")
}

func webhookDown(t *testing.T, cluster *platformtest.Cluster) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url, fail, none := "https://"+listener.Addr().String(), admissionv1.Fail, admissionv1.SideEffectClassNone
	listener.Close()
	hook := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "down"}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: "down.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: &url}, FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{"*"}, Rule: admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}}}},
	}}}
	platformtest.Create(t, cluster.Client, hook)
	job := pairs("a.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n")
	platformtest.Eventually(t, func(ctx context.Context) string {
		problems, err := Check(ctx, cluster.Client, made(t, job))
		if len(problems) > 0 || err == nil || !strings.Contains(err.Error(), "try out Job/payments/a: ") || !strings.Contains(err.Error(), "failed calling webhook") {
			return fmt.Sprintf("problems %v, %v", problems, err)
		}
		return ""
	})
}

func withoutNamespace(t *testing.T, cluster *platformtest.Cluster) {
	objs, problems := Build(pairs("a.yaml", config("a", "")), values, "newcomers", "ledger", "x")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	problems, err := Check(t.Context(), cluster.Client, objs)
	want := []Problem{{Object: "Namespace/newcomers", Reason: fleetv1.ReasonCheckFailed, Message: "the cluster has no such namespace"}}
	if diff := cmp.Diff(want, problems); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func unreachable(t *testing.T, cluster *platformtest.Cluster) {
	objs := made(t, pairs("a.yaml", config("a", "")))
	config := rest.CopyConfig(cluster.Config)
	config.Host = "https://127.0.0.1:1"
	c, err := client.New(config, client.Options{Mapper: cluster.Client.RESTMapper(), Scheme: platformtest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := Check(t.Context(), c, objs); !errors.Is(err, remote.ErrUnreachable) || len(problems) > 0 {
		t.Errorf("nobody there: %v, %v", problems, err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if problems, err := Check(ctx, cluster.Client, objs); !errors.Is(err, remote.ErrUnreachable) || len(problems) > 0 {
		t.Errorf("no time: %v, %v", problems, err)
	}
	canceled, stop := context.WithCancel(t.Context())
	stop()
	if problems, err := Check(canceled, cluster.Client, objs); !errors.Is(err, context.Canceled) || len(problems) > 0 {
		t.Errorf("called off: %v, %v", problems, err)
	}
}

func ownRights(t *testing.T, cluster *platformtest.Cluster) {
	platformtest.Create(t, cluster.Client,
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "looks"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces", "configmaps"}, Verbs: []string{"get"}},
			{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "looks"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "looks"},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "onlooker"}}})
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "onlooker"}
	c, err := client.New(config, client.Options{Scheme: platformtest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := Check(t.Context(), c, made(t, pairs("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")))
	if err == nil || !strings.Contains(err.Error(), "the account of Fairway on the cluster may not try out ConfigMap/payments/a: ") || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestAKindThatOnlyOneClusterHas(t *testing.T) {
	aws, azure := member(t), member(t)
	aws.Install(t, platformtest.Kind("monitoring.example.com", "v1", "Monitor"))
	files := pairs("a.yaml", monitor, "b.yaml", config("a", ""))
	expect(t, azure.Client, files, "CheckFailed: Monitor/payments/web: the cluster has no kind Monitor of monitoring.example.com/v1; a layer of the platform can bring its definition")
	expect(t, aws.Client, files, "CheckFailed: Monitor/payments/web: the team's account fairway-team-payments may not get, list, create, patch, delete monitors.monitoring.example.com in namespace payments; "+
		"the platform can let it, by a ClusterRole labelled fleet.fairway.dev/aggregate-to-team=true")
	platformtest.Create(t, aws.Client, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "team-monitors", Labels: map[string]string{team.LabelAggregate: "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"monitoring.example.com"}, Resources: []string{"monitors"}, Verbs: []string{"get", "list", "create", "patch"}}},
	})
	aws.Aggregate(t) // at once: Check waits until the API server knows
	expect(t, aws.Client, files, "CheckFailed: Monitor/payments/web: the team's account fairway-team-payments may not delete monitors.monitoring.example.com in namespace payments; "+
		"the platform can let it, by a ClusterRole labelled fleet.fairway.dev/aggregate-to-team=true")
	azure.Install(t, platformtest.Kind("monitoring.example.com", "v1", "Monitor"))
	if got := found(t, azure.Client, files); len(got) != 1 || !strings.Contains(got[0], "may not get") {
		t.Errorf("a definition that came since: %q", got)
	}
}

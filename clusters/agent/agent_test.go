package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func config() Config {
	return Config{
		ClusterID: "prod-aws-eu1", Environment: "prod", Cloud: "AWS", Region: "eu-west-1",
		Image: "ghcr.io/fairway-dev/agent:v0.1.0", EventsURL: "tls://events.example.com:4222", Heartbeat: 15 * time.Second,
		Credentials: []byte("creds"), CA: []byte("ca"), ExtraArgs: []string{"--log-level=debug"},
	}
}

func objects(t *testing.T, c Config) []*unstructured.Unstructured {
	t.Helper()
	objs, err := c.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// pick reads the object of a kind into its type and refuses fields that the type does not have.
func pick[T any](t *testing.T, objs []*unstructured.Unstructured, kind string) T {
	t.Helper()
	at := slices.IndexFunc(objs, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind })
	if at < 0 {
		t.Fatalf("no %s", kind)
	}
	var out T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(objs[at].Object, &out, true); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return out
}

func podOf(t *testing.T, c Config) corev1.PodTemplateSpec {
	t.Helper()
	return pick[appsv1.Deployment](t, objects(t, c), "Deployment").Spec.Template
}

func TestTheAgentRunsWithItsSettings(t *testing.T) {
	d := pick[appsv1.Deployment](t, objects(t, config()), "Deployment")
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%d replicas by %s, want one at a time", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	c := d.Spec.Template.Spec.Containers[0]
	if diff := cmp.Diff([]string{
		"--cluster=prod-aws-eu1", "--environment=prod", "--cloud=AWS", "--region=eu-west-1",
		"--events-url=tls://events.example.com:4222", "--credentials=/etc/fairway/agent/agent.creds",
		"--heartbeat=15s", "--health=:8081", "--outbox-dir=/var/lib/fairway", "--ca=/etc/fairway/agent/ca.crt", "--log-level=debug",
	}, c.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if c.Command != nil || c.Image != "ghcr.io/fairway-dev/agent:v0.1.0" {
		t.Errorf("runs %v of %s", c.Command, c.Image)
	}
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.IntValue() != 8081 {
			t.Errorf("probe %+v, want %s on 8081", probe.HTTPGet, path)
		}
	}
}

func TestWithoutAnAuthorityTheSystemsAreUsed(t *testing.T) {
	c := config()
	c.CA = nil
	objs := objects(t, c)
	if args := podOf(t, c).Spec.Containers[0].Args; slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--ca") }) {
		t.Errorf("arguments %v name an authority", args)
	}
	if diff := cmp.Diff(map[string][]byte{"agent.creds": []byte("creds")}, pick[corev1.Secret](t, objs, "Secret").Data); diff != "" {
		t.Errorf("secret (-want +got):\n%s", diff)
	}
}

func TestTheAgentStartsAnewOnlyForWhatItReadsOnce(t *testing.T) {
	change := func(edit func(*Config)) Config {
		c := config()
		edit(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		config Config
		same   bool
	}{
		{"the same settings", config(), true},
		{"other credentials, which it reads again", change(func(c *Config) { c.Credentials = []byte("turned") }), true},
		{"another authority", change(func(c *Config) { c.CA = []byte("other") }), false},
		{"another address", change(func(c *Config) { c.EventsURL = "tls://other:4222" }), false},
		{"another image", change(func(c *Config) { c.Image = "agent:v2" }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if same := cmp.Equal(podOf(t, config()), podOf(t, c.config)); same != c.same {
				t.Errorf("the pod template is the same: %v, want %v", same, c.same)
			}
		})
	}
}

func TestTheAgentRunsRestricted(t *testing.T) {
	pod := podOf(t, config()).Spec
	c := pod.Containers[0]
	if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod security %+v", s)
	}
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !cmp.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("container security %+v", s)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("resources %+v", c.Resources)
	}
}

func TestTheAgentMayOnlyRead(t *testing.T) {
	role := pick[rbacv1.ClusterRole](t, objects(t, config()), "ClusterRole")
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				t.Errorf("%v may be %sed", rule.Resources, verb)
			}
		}
		for _, resource := range slices.Concat(rule.Resources, rule.APIGroups) {
			if resource == "secrets" || resource == "configmaps" || strings.Contains(resource, "*") {
				t.Errorf("%v may be read", rule.Resources)
			}
		}
		if slices.Contains(rule.Resources, "pods/log") && !cmp.Equal(rule.Verbs, []string{"get"}) {
			t.Errorf("pods/log may be %v", rule.Verbs)
		}
		if len(rule.NonResourceURLs) > 0 {
			t.Errorf("%v may be read", rule.NonResourceURLs)
		}
	}
	binding := pick[rbacv1.ClusterRoleBinding](t, objects(t, config()), "ClusterRoleBinding")
	if diff := cmp.Diff([]rbacv1.Subject{{Kind: "ServiceAccount", Name: "fairway-agent", Namespace: "fairway-system"}}, binding.Subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

func TestIncompleteSettingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		says string
	}{
		{"no environment", func(c *Config) { c.Environment = "" }, "no environment"},
		{"no image", func(c *Config) { c.Image = "" }, "no image"},
		{"no address and no credentials are both named", func(c *Config) { c.EventsURL, c.Credentials = "", nil }, "no events URL, no credentials"},
		{"an id that is none", func(c *Config) { c.ClusterID = "A.b" }, `"A.b" is not a cluster id`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := config()
			c.edit(&bad)
			if _, err := bad.Objects(); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

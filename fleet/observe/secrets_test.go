package observe

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// secret is what stands somewhere, and the part of it that must not leave the cluster. All are made up.
type secret struct{ text, part string }

var secrets = map[string]secret{
	"bearer token":            {"GET /v1: 401, sent Authorization: Bearer n0tAt0kenButL1ke", "n0tAt0kenButL1ke"},
	"password in a URL":       {"dial postgres://ledger:hunter2x@db:5432/pay: refused", "hunter2x"},
	"password in a DSN":       {"open ledger:hunter2x@tcp(db:3306)/pay: refused", "hunter2x"},
	"private key":             {"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAu1SU1LfVLPHC\nozMxH2Mo4lgOEePzNm0tRgeLezV6\n-----END RSA PRIVATE KEY-----", "ozMxH2Mo4lgOEePzNm0tRgeLezV6"},
	"private key in JSON":     {`{"private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n"}`, "MIIEvQIBADANBgkq"},
	"AWS key id":              {"using AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"},
	"AWS secret":              {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"},
	"AWS pair without names":  {"AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"},
	"Azure connection string": {"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9vYmFyYmF6cXV4;EndpointSuffix=core.windows.net", "Zm9vYmFyYmF6cXV4"},
	"Azure shared access":     {"Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0"},
	"Azure signature":         {"PUT https://a.blob.core.windows.net/x?sv=2024&sig=c2lnbmF0dXJl%3D: 403", "c2lnbmF0dXJl"},
	"Azure client secret":     {"login with abc8Q~0123456789abcdefghijABCDEFGHIJ~xyz failed", "0123456789abcdefghijABCDEFGHIJ"},
	"Google API key":          {"key AIzaSyA0123456789abcdefghijklmnopqrstuv is restricted", "AIzaSyA0123456789"},
	"service account token":   {"token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.c2lnbmF0dXJl expired", "eyJpc3MiOiJrdWJlcm5ldGVz"},
	"basic header":            {"Authorization: Basic bGVkZ2VyOmh1bnRlcjI=", "bGVkZ2VyOmh1bnRlcjI"},
	"connection string":       {"Server=db;User Id=sa;Password=hunt3r2x;Encrypt=true", "hunt3r2x"},
	"redis":                   {"redis://:hunt3r2x@cache:6379/0: timeout", "hunt3r2x"},
	"GitHub token":            {"clone https://x-access-token:ghp_0123456789abcdefABCDEF0123@github.com/a/b", "ghp_0123456789"},
	"registry login":          {`{"auths":{"ghcr.io":{"auth":"bGVkZ2VyOmh1bnRlcjI="}}}`, "bGVkZ2VyOmh1bnRlcjI"},
	"environment":             {"env: DB_PASSWORD=hunt3r2x STRIPE_KEY=sk_live_0123456789abcdef", "hunt3r2x"},
	"added rule":              {"card 4111 1111 1111 1111 declined", "4111 1111"},
}

// TestNoSecretLeavesTheCluster puts each secret everywhere where a cluster's objects and logs hold text,
// and looks for it in all that would be sent.
func TestNoSecretLeavesTheCluster(t *testing.T) {
	added, err := redact.New(redact.Rule{Name: "card", Pattern: `\b\d{4}(?: \d{4}){3}\b`})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range secrets {
		t.Run(name, func(t *testing.T) {
			o := New(Options{Cluster: "c1", Redact: added})
			drafts := tellEverything(o, s.text)
			if len(drafts) < 12 {
				t.Fatalf("only %q is told", lines(drafts))
			}
			for _, d := range append(drafts, o.Snapshot()...) {
				sent, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(sent), s.part) {
					t.Errorf("%s tells the secret: %s", d.Type, sent)
				}
			}
		})
	}
}

// TestEveryEventFits: whatever objects hold, their events are of the contract's size, and are read as they
// were written.
func TestEveryEventFits(t *testing.T) {
	huge := strings.Repeat("a/<&>\u2028é ", 20_000)
	o := New(Options{Cluster: "c1"})
	drafts := tellEverything(o, huge)
	k := kustomization("main@sha1:a", "main@sha1:a")
	k.Spec.Path, k.Spec.SourceRef.Name = huge, huge
	h := helmRelease("1.0.0")
	d := deployment(1, 1, 1)
	for i := range 1_000 {
		name := fmt.Sprintf("%s-%d", strings.Repeat("n", 240), i)
		k.Spec.DependsOn = append(k.Spec.DependsOn, meta.DependencyReference{Namespace: name, Name: name})
		h.Spec.DependsOn = append(h.Spec.DependsOn, helmv2.DependencyReference{Namespace: name, Name: name})
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: name, Image: name + huge})
	}
	for _, obj := range []Object{k, h, d} {
		drafts = append(drafts, o.Apply(obj, sec(9000)).Drafts...)
	}
	for _, d := range drafts {
		e, err := event.New("c1", d.Type, d.Object, d.Time, d.Data)
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Epoch, e.Sequence = "1", "1", 1
		e.Team, e.Service, e.Artifact, e.Revision = d.Team, d.Service, d.Artifact, d.Revision
		wire, err := e.Encode()
		if err != nil {
			t.Errorf("%s %s: %v", d.Type, d.Object, err)
			continue
		}
		back, err := event.Decode(wire)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(d.Data))
		if err := back.Payload(into.Interface()); err != nil {
			t.Errorf("%s %s cannot be read: %v", d.Type, d.Object, err)
		}
	}
}

// tellEverything observes objects that hold the text wherever they can hold any, and a log with it.
func tellEverything(o *Observer, text string) (all []Draft) {
	annotations := map[string]string{"fleet.fairway.dev/team": text, "lunarway.com/service": text, "lunarway.com/artifact-id": text, annotationRunbook: text}
	n := 1000
	apply := func(obj Object) {
		n += 100
		obj.SetAnnotations(annotations)
		for _, d := range o.Apply(obj, sec(n)).Drafts {
			if d.Logs != nil {
				d = o.WithLogs(d, []byte("starting\n"+text+"\nfatal: gave up\n"), "")
			}
			all = append(all, d)
		}
	}
	k := kustomization("main@sha1:a", "", condition("Ready", metav1.ConditionFalse, "BuildFailed", text, 1))
	k.Status.Conditions[0].Reason = strings.ReplaceAll(text, "\n", "_") // whoever may write a status may write this
	apply(k)
	g := gitRepository("main@sha1:a", condition("Ready", metav1.ConditionFalse, "GitOperationFailed", text, 1))
	g.Status.Artifact.Metadata = map[string]string{originAnnotation: text}
	apply(g)
	apply(helmRelease("1.0.0", condition("Ready", metav1.ConditionFalse, "InstallFailed", text, 1), condition("Released", metav1.ConditionFalse, "InstallFailed", text, 1)))
	apply(&appsv1.StatefulSet{ObjectMeta: meta1("db"), Spec: appsv1.StatefulSetSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}}})
	apply(deployment(2, 2, 1, func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: text, Message: text}}
	}))
	crashing := pod("aaaaa", app(2, backOff, dead(1, 1, 2)))
	crashing.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message = text
	apply(crashing)
	apply(pod("bbbbb", phase(corev1.PodPending), app(0, waiting("CreateContainerConfigError", text))))
	unscheduled := pod("ccccc", phase(corev1.PodPending))
	unscheduled.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: text, LastTransitionTime: at(1)}}
	apply(unscheduled)
	apply(jobPod("migrate", phase(corev1.PodFailed), app(0, dead(3, 0, 1))))
	j := job("migrate", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 2))
	j.Status.Conditions[0].Message = text
	apply(j)
	k.Status.Conditions = []metav1.Condition{condition(meta.StalledCondition, metav1.ConditionTrue, "InvalidPath", text, 9)}
	apply(k)
	return all
}

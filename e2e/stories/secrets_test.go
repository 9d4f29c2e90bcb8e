package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
	hubclient "github.com/fairway-dev/fairway/fleet/client"
)

// leaks are lines that a careless program writes, each with the part of it that must stay on the cluster.
// All are made up.
var leaks = map[string]struct{ line, secret string }{
	"bearer token":      {"GET https://api.example.com/v1: 401, sent Authorization: Bearer st0ryBearerT0ken", "st0ryBearerT0ken"},
	"password in a URL": {"dial postgres://ledger:st0ryPassw0rd@db:5432/pay: connection refused", "st0ryPassw0rd"},
	"private key": {"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAst0ryKeyFirstLine\nst0ryKeySecondLine0123456789\n-----END RSA PRIVATE KEY-----",
		"st0ryKeySecondLine"},
	"AWS key id":  {"signing with AKIAST0RY7EXAMPLE12S", "AKIAST0RY7EXAMPLE12S"},
	"AWS secret":  {"AWS_SECRET_ACCESS_KEY=st0ryAwsSecret/K7MDENG/bPxRfiCYEXAMPLE", "st0ryAwsSecret"},
	"web token":   {"token eyJhbGciOiJSUzI1NiJ9.eyJzdG9yeSI6InRva2VuIn0.c3Rvcnl0b2tlbg is expired", "eyJzdG9yeSI6InRva2VuIn0"},
	"card number": {"card 4111 1111 1111 1234 declined", "4111 1111"}, // a secret by the Fleet's own rule
}

const lastLine = "fatal: cannot reach the database"

// A program writes secrets and dies, and its objects carry some in annotations. What is told of it says
// why it died; no secret is in any event of the stream, nor in any answer of the hub.
func TestSecretsStayOnTheCluster(t *testing.T) {
	const id = fleet.AWS
	restore := changeFleet(t, func(s *fleetv1.FleetSpec) {
		s.Events.Redact = []fleetv1.RedactRule{{Name: "card-number", Pattern: `\b\d{4}(?: \d{4}){3}\b`}}
	})
	defer func() {
		restore()
		awaitAgents(t, func(args []string) bool { return !slices.ContainsFunc(args, isRedact) })
	}()
	awaitAgents(t, func(args []string) bool { return slices.ContainsFunc(args, isRedact) })

	since := time.Now()
	careless := carelessDeployment()
	if err := bank.Member(id).Client().Create(t.Context(), careless); err != nil {
		t.Fatal(err)
	}
	defer removeFrom(t, id, careless)
	opened := awaitCareless(t, since, id, event.EpisodeOpened)
	if text := strings.Join(opened.Lines, "\n"); !strings.Contains(text, lastLine) || strings.Count(text, "***") < len(leaks) {
		t.Errorf("the lines do not say why it died, or not where secrets were:\n%s", text)
	}
	t.Logf("what on-call sees:\n%s", strings.Join(opened.Lines, "\n"))
	onTheCluster, err := bank.Member(id).Kubectl(t.Context(), "logs", "-n", fleet.Team, "deploy/careless")
	if err != nil {
		t.Fatal(err)
	}
	removeFrom(t, id, careless)
	awaitCareless(t, since, id, event.EpisodeResolved)

	answers := everyAnswer(t, id, opened.ID)
	for name, leak := range leaks {
		if !strings.Contains(onTheCluster, leak.secret) {
			t.Errorf("%s: the program never wrote it, so this story shows nothing:\n%s", name, onTheCluster)
		}
		for from, text := range answers {
			if strings.Contains(text, leak.secret) {
				t.Errorf("%s: %s tells it", name, from)
			}
		}
	}
	t.Logf("looked for %d secrets in %s", len(leaks), strings.Join(slices.Sorted(maps.Keys(answers)), ", "))
}

func isRedact(arg string) bool { return strings.HasPrefix(arg, "--redact=card-number=") }

// awaitAgents waits until the agent of every cluster runs with arguments that are as wanted.
func awaitAgents(t *testing.T, want func(args []string) bool) {
	t.Helper()
	for _, id := range members {
		eventually(t, 3*time.Minute, "the agent of "+id+" has the Fleet's rules", func(ctx context.Context) (bool, string) {
			var d appsv1.Deployment
			if err := bank.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent"}, &d); err != nil {
				return false, err.Error()
			}
			args := d.Spec.Template.Spec.Containers[0].Args
			s := d.Status
			return want(args) && s.ObservedGeneration == d.Generation && s.UpdatedReplicas == 1 && s.AvailableReplicas == 1 && s.Replicas == 1,
				fmt.Sprintf("arguments %q, status %+v", args, s)
		})
	}
	eventually(t, 2*time.Minute, "every cluster is Ready", allReady)
}

// carelessDeployment has secrets in what its container writes, and in every annotation that agents read.
func carelessDeployment() *appsv1.Deployment {
	labels := map[string]string{"app": "careless"}
	annotations := map[string]string{
		"fleet.fairway.dev/runbook": leaks["password in a URL"].line, "lunarway.com/service": leaks["bearer token"].line,
		"lunarway.com/artifact-id": leaks["AWS key id"].line, "squad": leaks["AWS secret"].line, "example.com/note": leaks["private key"].line,
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(leaks)) {
		lines = append(lines, leaks[name].line)
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Team, Name: "careless", Annotations: annotations},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: "ghcr.io/fairway-dev/lastwords:v1", Args: append(lines, lastLine),
					TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, // so that its status holds them too
				}}},
			},
		},
	}
}

func removeFrom(t *testing.T, id string, obj client.Object) {
	t.Helper()
	err := bank.Member(id).Client().Delete(context.WithoutCancel(t.Context()), obj)
	if client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
}

// awaitCareless waits for an episode event of the careless Deployment.
func awaitCareless(t *testing.T, since time.Time, id string, typ event.Type) (found event.Episode) {
	t.Helper()
	eventually(t, 2*time.Minute, "the careless program's episode is "+typ.What(), func(ctx context.Context) (bool, string) {
		all, err := bank.Events(ctx, since, id)
		if err != nil {
			return false, err.Error()
		}
		for _, e := range all {
			if e.Type == typ && e.Object().Name == "careless" {
				err = e.Payload(&found)
				return err == nil, fmt.Sprint(err)
			}
		}
		return false, fmt.Sprintf("%d events, none of it", len(all))
	})
	return found
}

// everyAnswer is all that leaves: every event of the stream, and what the hub and the command line say of
// the cluster.
func everyAnswer(t *testing.T, id, episode string) map[string]string {
	t.Helper()
	answers := map[string]string{}
	keep := func(name string, body any, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		answers[name] = string(text)
	}
	all, err := bank.Events(t.Context(), time.Time{}, "")
	keep(fmt.Sprintf("the stream (%d events)", len(all)), all, err)
	hub, err := bank.Hub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := hub.Cluster(t.Context(), id)
	keep("the cluster", cluster, err)
	of := hubclient.Filter{Cluster: id, Resolved: true}
	episodes, err := hub.Episodes(t.Context(), of)
	keep("its episodes", episodes, err)
	services, err := hub.Services(t.Context(), of)
	keep("its services", services, err)
	unowned, err := hub.Unowned(t.Context(), of)
	keep("what nobody owns", unowned, err)
	answers["fairway describe episode"] = bank.MustFairway(t, "describe", "episode", episode)
	answers["fairway events"] = bank.MustFairway(t, "events", "--since", "10m", "--cluster", id)
	return answers
}

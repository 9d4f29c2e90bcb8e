package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// Who releases, and who approves.
const (
	developer = "dev@example.com"
	colleague = "colleague@example.com"
	everybody = "fleet-readers" // the group of all who may see the fleet
)

// releaser is a team with one service, and the shell of its developer: every command is kept for the story's log.
type releaser struct {
	t             *testing.T
	team, service string
	dir           string // of the service's source code, a Git repository
	log           []string
}

const serviceManifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532}
      containers:
      - name: app
        image: ghcr.io/stefanprodan/podinfo:6.9.2
        args: [--port=9898, "--ui-message=${CLUSTER_NAME} in ${CLUSTER_REGION}"%[2]s]
        ports: [{name: http, containerPort: 9898}]
        readinessProbe:
          httpGet: {path: /readyz, port: http}
          periodSeconds: 2
        resources: {requests: {cpu: 10m, memory: 32Mi}}
`

// newTeam makes a team's namespace, with a developer who may release and a colleague who may approve as well.
func newTeam(t *testing.T, team, service string) *releaser {
	t.Helper()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}})
	create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "approver"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{fleetv1.GroupVersion.Group}, Resources: []string{"releases"}, Verbs: []string{"approve"}}},
	})
	bind := func(name, kind, role string, users ...string) {
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}}
		for _, user := range users {
			binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user})
		}
		create(t, binding)
	}
	readers := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: everybody}}
	create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: everybody}, Subjects: readers,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "fairway-view"}})
	create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.SystemNamespace, Name: everybody}, Subjects: readers,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "fairway-connect"}})
	bind("developers", "ClusterRole", "edit", developer, colleague)
	bind("approvers", "Role", "approver", developer, colleague)
	r := &releaser{t: t, team: team, service: service, dir: t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	r.write("fairway.yaml", "service: "+r.name()+"\n")
	return r
}

func (r *releaser) name() string { return r.team + "/" + r.service }

func (r *releaser) write(path, content string) {
	r.t.Helper()
	file := filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *releaser) git(args ...string) {
	r.t.Helper()
	command := exec.CommandContext(r.t.Context(), "git", append([]string{"-c", "user.name=dev", "-c", "user.email=" + developer}, args...)...)
	command.Dir = r.dir
	if out, err := command.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// push commits manifests with these arguments of the program and pushes them as an artifact, as CI would. It returns its id.
func (r *releaser) push(message string, files map[string]string, args ...string) string {
	r.t.Helper()
	list := ""
	for _, arg := range args {
		list += fmt.Sprintf(", %q", arg)
	}
	r.write("manifests/deployment.yaml", fmt.Sprintf(serviceManifest, r.service, list))
	for path, content := range files {
		r.write("manifests/"+path, content)
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "-m", message)
	out, err := r.run(developer, "artifact", "push", "./manifests", "--registry", bank.ArtifactsURL(), "-o", "name")
	if err != nil {
		r.t.Fatal(err)
	}
	id := strings.TrimSpace(out)
	return id[strings.LastIndexAny(id, "/:")+1:]
}

// run runs fairway in the service's folder as somebody.
func (r *releaser) run(as string, args ...string) (string, error) {
	r.t.Helper()
	r.log = append(r.log, fmt.Sprintf("%-23s $ fairway %s", as, strings.Join(args, " ")))
	command := exec.CommandContext(r.t.Context(), bank.CLI(), append(args, "--as", as, "--as-group", "system:authenticated", "--as-group", everybody)...)
	command.Dir = r.dir
	command.Env = append(os.Environ(), "KUBECONFIG="+bank.Platform.Kubeconfig)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("fairway %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func (r *releaser) must(as string, args ...string) string {
	r.t.Helper()
	out, err := r.run(as, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// runs waits until clusters run an artifact, every pod of it.
func (r *releaser) runs(artifact string, clusters ...string) {
	r.t.Helper()
	for _, id := range clusters {
		eventually(r.t, 2*time.Minute, id+" runs "+artifact, func(ctx context.Context) (bool, string) {
			obj, err := r.deployment(ctx, id)
			return err == nil && obj.Labels[fleetv1.LabelArtifact] == artifact && obj.Status.UpdatedReplicas == 2 && obj.Status.AvailableReplicas == 2 &&
				obj.Status.ObservedGeneration == obj.Generation, fmt.Sprintf("%v %+v, error %v", obj.Labels, obj.Status, err)
		})
	}
}

func (r *releaser) deployment(ctx context.Context, id string) (*appsv1.Deployment, error) {
	obj := &appsv1.Deployment{}
	return obj, bank.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: r.team, Name: r.service}, obj)
}

// newest is the newest release of an artifact to an environment; nil: there is none. Two releases of the same second are of two artifacts.
func (r *releaser) newest(ctx context.Context, environment, artifact string) (*fleetv1.Release, error) {
	var list fleetv1.ReleaseList
	if err := bank.Platform.Client().List(ctx, &list, client.InNamespace(r.team)); err != nil {
		return nil, err
	}
	var newest *fleetv1.Release
	for i := range list.Items {
		rel := &list.Items[i]
		if rel.Spec.Environment == environment && rel.Spec.Service == r.service && rel.Spec.Artifact == artifact &&
			(newest == nil || newest.CreationTimestamp.Before(&rel.CreationTimestamp)) {
			newest = rel
		}
	}
	return newest, nil
}

// awaitPhase waits until the newest release of an artifact to an environment is in a phase.
func (r *releaser) awaitPhase(environment, artifact string, phase fleetv1.Phase) *fleetv1.Release {
	r.t.Helper()
	var rel *fleetv1.Release
	eventually(r.t, 4*time.Minute, fmt.Sprintf("%s in %s is %s", artifact, environment, phase), func(ctx context.Context) (bool, string) {
		var err error
		if rel, err = r.newest(ctx, environment, artifact); err != nil || rel == nil {
			return false, fmt.Sprintf("no release, error %v", err)
		}
		return rel.Status.Phase == phase, fmt.Sprintf("%s: %+v", rel.Status.Phase, rel.Status.Conditions)
	})
	return rel
}

// cloudWords are what a developer never has to say.
var cloudWords = regexp.MustCompile(`(?i)aws|azure|eks|aks|acquired|eu-west|europe|cluster`)

// A team releases a service. Prod is on AWS and on Azure, and no command says so.
func TestReleases(t *testing.T) {
	t.Parallel()
	team := newTeam(t, "payments", "cards")
	defer patchCluster(t, fleet.AWS, fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, fleet.LabelWave))
	patchCluster(t, fleet.AWS, fmt.Sprintf(`{"metadata":{"labels":{%q:"canary"}}}`, fleet.LabelWave))
	for _, part := range []struct {
		name string
		run  func(*releaser)
	}{
		{"from a push to prod and back", (*releaser).pushToProdAndBack},
		{"a new version that crashes is rolled back", (*releaser).rollsBack},
		{"a kind that one cloud lacks is refused", (*releaser).lacksAKind},
		{"a new version that crashes is halted in the first wave", (*releaser).halts},
	} {
		if !t.Run(part.name, func(t *testing.T) { r := *team; r.t = t; part.run(&r) }) {
			return // the next ones go on from here
		}
	}
}

// pushToProdAndBack: an artifact goes to staging by itself, is promoted to prod in waves once a colleague has approved, and is rolled back.
func (r *releaser) pushToProdAndBack() {
	defer patchEnvironment(r.t, fleet.Prod, `{"spec":{"approvals":{"required":0}}}`)
	patchEnvironment(r.t, fleet.Prod, `{"spec":{"approvals":{"required":1}}}`)
	r.must(developer, "policy", "apply", "auto-release", "--branch", "main", "--env", "staging")
	first := r.push("the first version", nil, "--level=info")
	r.awaitPhase(fleet.Staging, first, fleetv1.PhaseSucceeded)
	r.runs(first, fleet.Acquired)
	r.promote(first)

	second := r.push("the second version", nil, "--level=debug")
	r.awaitPhase(fleet.Staging, second, fleetv1.PhaseSucceeded)
	r.promote(second)

	r.must(developer, "rollback", "--env", "prod", "--wait", "--timeout", "4m")
	r.awaitPhase(fleet.Prod, first, fleetv1.PhaseSucceeded)
	r.runs(first, fleet.AWS, fleet.Azure)
	r.runs(second, fleet.Acquired)
	r.t.Logf("fairway status:\n%s", r.must(developer, "status"))
	r.t.Logf("fairway history:\n%s", r.must(developer, "history"))
	r.audits(second, fleet.Prod, fleet.AWS, fleet.Azure)
	r.t.Logf("what was typed:\n%s", strings.Join(r.log, "\n"))
	for _, line := range r.log {
		if word := cloudWords.FindString(line); word != "" {
			r.t.Errorf("a command says %q: %s", word, line)
		}
	}
}

// promote promotes an artifact from staging to prod: it waits for somebody else's approval, then goes through the waves.
func (r *releaser) promote(artifact string) {
	r.t.Helper()
	began := time.Now()
	r.must(developer, "promote", "--from", "staging", "--to", "prod")
	rel := r.awaitPhase(fleet.Prod, artifact, fleetv1.PhasePending)
	if out, err := r.run(developer, "approve", r.team+"/"+rel.Name); err == nil {
		r.t.Errorf("who asked approved it as well:\n%s", out)
	}
	r.must(colleague, "approve", r.name(), "--env", "prod")
	rel = r.awaitPhase(fleet.Prod, artifact, fleetv1.PhaseSucceeded)
	r.runs(artifact, fleet.AWS, fleet.Azure)
	targets := map[string]fleetv1.Target{}
	for _, target := range rel.Status.Targets {
		targets[target.Cluster] = target
	}
	canary, rest := targets[fleet.AWS], targets[fleet.Azure]
	if canary.Wave != "canary" || rest.MovedAt == nil || canary.AvailableAt == nil || rest.MovedAt.Before(canary.AvailableAt) {
		r.t.Errorf("the waves did not wait for each other: %+v, then %+v", canary, rest)
	}
	r.t.Logf("from the promotion to prod in health: %s", time.Since(began).Round(100*time.Millisecond))
}

// audits: of an artifact that was promoted the history says who wrote, released and approved it, and when each cluster ran it in health.
// The hub serves nobody as somebody else, so the auditor is whoever runs the story.
func (r *releaser) audits(artifact, environment string, clusters ...string) {
	r.t.Helper()
	commit := strings.Split(artifact, "-")[1]
	ask := func(more ...string) string {
		out, err := bank.Fairway(r.t.Context(), append([]string{"audit", r.name(), "--artifact", artifact, "--env", environment}, more...)...)
		if err != nil {
			r.t.Fatal(err)
		}
		return out
	}
	r.t.Logf("fairway audit:\n%s", ask())
	var found rest.AuditList
	if err := json.Unmarshal([]byte(ask("-o", "json")), &found); err != nil {
		r.t.Fatal(err)
	}
	var have []string
	for _, e := range found.Items {
		have = append(have, e.Cluster)
		if !strings.HasPrefix(e.Source.Commit, commit) || !strings.Contains(e.Source.Author, developer) || e.RequestedBy != developer ||
			len(e.Approvals) != 1 || e.Approvals[0].By != colleague || e.AvailableAt.IsZero() || e.AvailableAt.Before(e.MovedAt) || e.Commit == "" {
			r.t.Errorf("the audit of %s does not tell all: %+v", artifact, e)
		}
	}
	slices.Sort(have)
	slices.Sort(clusters)
	if !slices.Equal(have, clusters) {
		r.t.Errorf("the audit of %s is of %q, want %q", artifact, have, clusters)
	}
}

// crashes releases a version that exits on start to prod, where the first wave is to fail, and returns the release.
func (r *releaser) crashes(onFailure fleetv1.FailureAction, end fleetv1.Phase) (artifact string, rel *fleetv1.Release) {
	r.t.Helper()
	patchEnvironment(r.t, fleet.Prod, fmt.Sprintf(`{"spec":{"promotesFrom":null,"onFailure":%q}}`, onFailure))
	before, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.Azure))
	if err != nil {
		r.t.Fatal(err)
	}
	artifact = r.push("a version that exits on start", nil, "--random-delay-min=10", "--random-delay-max=5", "--level="+string(onFailure))
	out, err := r.run(developer, "release", "--artifact", artifact, "--env", "prod", "--wait", "--timeout", "4m")
	r.t.Logf("what the developer sees (error %v):\n%s", err, out)
	if err == nil || !strings.Contains(err.Error(), "random-delay-max") {
		r.t.Errorf("the command does not fail with the last lines")
	}
	rel = r.awaitPhase(fleet.Prod, artifact, end)
	for _, target := range rel.Status.Targets {
		if lines := strings.Join(target.Lines, "\n"); target.Cluster == fleet.AWS && !strings.Contains(lines, "random-delay-max") {
			r.t.Errorf("the release does not say why it failed: %+v", target)
		}
		if target.Cluster == fleet.Azure && target.MovedAt != nil {
			r.t.Errorf("the later wave was told to run it: %+v", target)
		}
	}
	if after, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.Azure)); err != nil || after != before {
		r.t.Errorf("the later wave's pointer changed (error %v):\n%s\nbefore:\n%s", err, after, before)
	}
	for _, id := range []string{fleet.AWS, fleet.Azure} {
		if obj, err := r.deployment(r.t.Context(), id); err != nil || obj.Status.AvailableReplicas < 1 {
			r.t.Errorf("on %s the pods that ran are gone: %+v, error %v", id, obj.Status, err)
		}
	}
	return artifact, rel
}

func (r *releaser) pointer(id string) string {
	return fmt.Sprintf("clusters/%s/%s/%s.yaml", id, r.team, r.service)
}

func (r *releaser) halts() {
	artifact, _ := r.crashes(fleetv1.OnFailureHalt, fleetv1.PhaseFailed)
	if text, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.AWS)); err != nil || !strings.Contains(text, artifact) {
		r.t.Errorf("the pointer of the wave that failed was moved (error %v):\n%s", err, text)
	}
}

func (r *releaser) rollsBack() {
	r.must(developer, "policy", "delete", "auto-release", "--env", "staging")
	before, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.AWS))
	if err != nil {
		r.t.Fatal(err)
	}
	artifact, rel := r.crashes(fleetv1.OnFailureRollBack, fleetv1.PhaseRolledBack)
	after, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.AWS))
	if err != nil || strings.Contains(after, artifact) {
		r.t.Errorf("the pointer was not moved back (error %v):\n%s\nbefore:\n%s", err, after, before)
	}
	log := r.commitsOf(rel)
	if strings.Count(log, "Intent: Rollback") != 1 || !strings.Contains(log, "random-delay-max") {
		r.t.Errorf("want one commit that rolls back, with the evidence:\n%s", log)
	}
	r.t.Logf("the commits of the release:\n%s", log)
	r.runs(r.artifactIn(after), fleet.AWS)
}

func (r *releaser) artifactIn(pointer string) string {
	match := regexp.MustCompile(`path: \./releases/[^/]+/[^/]+/(\S+)`).FindStringSubmatch(pointer)
	if match == nil {
		r.t.Fatalf("no artifact in\n%s", pointer)
	}
	return match[1]
}

// commitsOf are the commits of the config repository that name a release.
func (r *releaser) commitsOf(rel *fleetv1.Release) string {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "config")
	if err := bank.CloneConfig(r.t.Context(), dir); err != nil {
		r.t.Fatal(err)
	}
	command := exec.CommandContext(r.t.Context(), "git", "-C", dir, "log", "--grep", "Release: "+r.team+"/"+rel.Name)
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git log: %v\n%s", err, out)
	}
	return string(out)
}

const ratesKind = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rates.bank.example.com}
spec:
  group: bank.example.com
  names: {kind: Rate, plural: rates, singular: rate}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// lacksAKind: a kind that the platform team has put on AWS only, with the right to use it.
func (r *releaser) lacksAKind() {
	for _, manifest := range []string{ratesKind, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: team-rates, labels: {fleet.fairway.dev/aggregate-to-team: "true"}}
rules: [{apiGroups: [bank.example.com], resources: [rates], verbs: [get, list, watch, create, update, patch, delete]}]
`} {
		if err := bank.Member(fleet.AWS).ApplyYAML(r.t.Context(), []byte(manifest)); err != nil {
			r.t.Fatal(err)
		}
	}
	artifact := r.push("a rate", map[string]string{"rate.yaml": "apiVersion: bank.example.com/v1\nkind: Rate\nmetadata: {name: base}\n"}, "--level=info")
	out, err := r.run(developer, "release", "--artifact", artifact, "--env", "prod", "--wait", "--timeout", "2m")
	if err == nil || !strings.Contains(err.Error(), fleet.Azure) || !strings.Contains(err.Error(), "Rate") {
		r.t.Errorf("error %v, want a refusal that names %s and the kind:\n%s", err, fleet.Azure, out)
	}
	r.t.Logf("what the developer sees: %v", err)
	r.awaitPhase(fleet.Prod, artifact, fleetv1.PhaseRefused)
	if text, err := bank.ConfigFile(r.t.Context(), r.pointer(fleet.AWS)); err != nil || strings.Contains(text, artifact) {
		r.t.Errorf("something was written (error %v):\n%s", err, text)
	}
	if err := os.Remove(filepath.Join(r.dir, "manifests", "rate.yaml")); err != nil {
		r.t.Fatal(err)
	}
}

func patchEnvironment(t *testing.T, name, patch string) {
	t.Helper()
	mergePatch(t, &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch)
}

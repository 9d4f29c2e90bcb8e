package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/steps"
)

func TestConfigOutcome(t *testing.T) {
	plan := layers.Plan{ClusterID: "c1", Layers: []layers.Planned{{Name: "network"}, {Name: "ingress"}}}
	missing := []layers.Use{{Variable: "A", File: "platform/network/aws/a.yaml", Line: 7}}
	for name, c := range map[string]struct {
		seen layers.Decision
		want short
		says string
	}{
		"a file as it should be is done":             {layers.Decision{Plan: plan, State: layers.Ours}, short{steps.Done, fleetv1.ReasonSucceeded, ""}, "clusters/c1/fairway.yaml has network, ingress"},
		"one to be written can be":                   {layers.Decision{Plan: plan, Differs: true}, short{steps.Done, fleetv1.ReasonSucceeded, ""}, ""},
		"a cluster that no layer is for is done":     {layers.Decision{Plan: layers.Plan{ClusterID: "c1"}}, short{steps.Done, fleetv1.ReasonSucceeded, ""}, "no layer"},
		"a missing value needs a person":             {layers.Decision{Plan: plan, State: layers.Ours, Missing: missing}, short{steps.Blocked, fleetv1.ReasonValuesMissing, ""}, "at main@sha1:ab: no value for ${A} in platform/network/aws/a.yaml:7; give a value in spec.values"},
		"a missing value comes before what is to be": {layers.Decision{Plan: plan, Differs: true, Missing: missing}, short{steps.Blocked, fleetv1.ReasonValuesMissing, ""}, "nothing is written"},
		"a file that was edited is left alone":       {layers.Decision{Plan: plan, State: layers.Edited, Differs: true}, short{steps.Blocked, fleetv1.ReasonEditedByHand, ""}, "clusters/c1/fairway.yaml was edited by hand"},
		"a file of somebody else's is left alone":    {layers.Decision{Plan: plan, State: layers.Foreign, Differs: true}, short{steps.Blocked, fleetv1.ReasonEditedByHand, ""}, "not written by Fairway"},
		"a file that is left out is told of":         {layers.Decision{Plan: plan, State: layers.Ours, Left: true}, short{steps.Blocked, fleetv1.ReasonNotIncluded, ""}, "does not list fairway.yaml"},
		"it is written before it can be listed":      {layers.Decision{Plan: plan, Differs: true, Left: true}, short{steps.Done, fleetv1.ReasonSucceeded, ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			have := configOutcome(c.seen, "main@sha1:ab")
			if diff := cmp.Diff(c.want, shorten(have)); diff != "" || !strings.Contains(have.Message, c.says) {
				t.Errorf("%q says not %q (-want +have):\n%s", have.Message, c.says, diff)
			}
		})
	}
}

func TestConfigFailed(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want short
		says string
	}{
		"a layer without a folder needs a person": {fmt.Errorf("%w x", layers.ErrFolder), short{steps.Blocked, fleetv1.ReasonLayerNotFound, ""}, "push the folder"},
		"layers that contradict need a person":    {layers.ErrInvalid, short{steps.Blocked, fleetv1.ReasonLayersInvalid, ""}, "spec.layers"},
		"no credentials to write need a person":   {configrepo.ErrNotWritable, short{steps.Blocked, fleetv1.ReasonConfigNotWritten, ""}, "fairway check layers --write"},
		"a Secret that is missing is told of":     {configrepo.ErrNoSecret, short{steps.Failing, fleetv1.ReasonSecretMissing, ""}, ""},
		"a push that is refused is told of":       {gitrepo.ErrRefused, short{steps.Failing, fleetv1.ReasonRepositoryRefuses, ""}, ""},
		"a repository that is away is told of":    {gitrepo.ErrUnreachable, short{steps.Failing, fleetv1.ReasonRepositoryUnreadable, ""}, ""},
		"one that hangs is told of":               {errSlow, short{steps.Failing, fleetv1.ReasonRepositoryUnreadable, ""}, "not answered yet"},
		"wrong credentials are told of":           {gitrepo.ErrAuth, short{steps.Failing, fleetv1.ReasonRepositoryUnreadable, ""}, ""},
		"a branch that moved is tried again":      {gitrepo.ErrMoved, short{steps.Failing, fleetv1.ReasonInternal, "backoff"}, ""},
		"anything else is tried again":            {errors.New("boom"), short{steps.Failing, fleetv1.ReasonInternal, "backoff"}, "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			have := configFailed(c.err)
			if diff := cmp.Diff(c.want, shorten(have)); diff != "" || !strings.Contains(have.Message, c.says) {
				t.Errorf("%q says not %q (-want +have):\n%s", have.Message, c.says, diff)
			}
		})
	}
}

func TestARepositoryThatHangsKeepsNoPass(t *testing.T) {
	hangs := func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	if _, err := within(t.Context(), time.Millisecond, hangs); !errors.Is(err, errSlow) {
		t.Errorf("one that hangs: %v, want %v", err, errSlow)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := within(ended, time.Minute, hangs); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of the pass is taken for the repository's: %v", err)
	}
	boom := errors.New("boom")
	if _, err := within(t.Context(), time.Minute, func(context.Context) (string, error) { return "", boom }); !errors.Is(err, boom) {
		t.Errorf("an answer that is an error: %v", err)
	}
	if got, err := within(t.Context(), time.Minute, func(context.Context) (string, error) { return "main", nil }); got != "main" || err != nil {
		t.Errorf("an answer: %q, %v", got, err)
	}
}

// layersScene is a Fleet whose repository is a real one, and a cluster on AWS.
type layersScene struct {
	*suite
	t     *testing.T
	dir   string // of the repository
	fleet *fleetv1.Fleet
	obj   *fleetv1.WorkloadCluster
}

func newLayersScene(t *testing.T, s *suite) *layersScene {
	t.Helper()
	url, dir := gittest.Server(t)
	scene := &layersScene{suite: s, t: t, dir: dir}
	scene.fleet = s.makeFleet(t, func(f *fleetv1.Fleet) { f.Spec.ConfigRepository.URL = url })
	scene.obj = s.adopt(t, "", "layered", s.workload.Kubeconfig)
	t.Cleanup(func() { remove(t, s.platform.Client, scene.obj) })
	scene.change(func() { scene.obj.Spec.Cloud.Provider = "AWS" })
	return scene
}

// change updates the Fleet and the cluster, and what is known of the repository is old afterwards.
func (s *layersScene) change(change func()) {
	s.t.Helper()
	change()
	if err := errors.Join(s.platform.Client.Update(s.t.Context(), s.obj), s.platform.Client.Update(s.t.Context(), s.fleet)); err != nil {
		s.t.Fatal(err)
	}
	s.clock.SetTime(s.clock.Now().Add(time.Minute))
}

func (s *layersScene) push(files map[string]string) {
	s.t.Helper()
	gittest.Commit(s.t, s.dir, files)
	s.clock.SetTime(s.clock.Now().Add(time.Minute))
}

// shows is what the condition says after a pass.
func (s *layersScene) expect(want, says string) {
	s.t.Helper()
	if _, err := s.pass(s.t, s.obj); err != nil {
		s.t.Fatal(err)
	}
	if have := shows(s.obj, fleetv1.ConditionConfigWritten); have != want || !strings.Contains(message(s.obj, fleetv1.ConditionConfigWritten), says) {
		s.t.Errorf("%s: %s; not %s that says %q", have, message(s.obj, fleetv1.ConditionConfigWritten), want, says)
	}
}

func (s *layersScene) commits() string { return gittest.Git(s.t, s.dir, "rev-list", "--count", "main") }

// file is the cluster's file in the repository; empty when there is none.
func (s *layersScene) file() string {
	s.t.Helper()
	out, err := gittest.Try(s.t, s.dir, "show", "main:clusters/layered/fairway.yaml")
	if err != nil {
		return ""
	}
	return out
}

func writesLayers(t *testing.T, suite *suite) {
	s := newLayersScene(t, suite)
	s.expect("none", "") // no layers: nothing is looked at

	s.change(func() {
		s.fleet.Spec.Layers = []fleetv1.Layer{{Name: "network"}, {Name: "ingress", DependsOn: []string{"network"}}}
	})
	s.expect("False/LayerNotFound", "platform/network/aws, platform/network/base")
	if have := shows(s.obj, "Ready"); have != "False/LayerNotFound" {
		t.Errorf("Ready is %s", have)
	}
	s.push(map[string]string{"platform/network/aws/a.yaml": "a: ${CLUSTER_CLOUD}\n", "platform/ingress/base/a.yaml": "a: ${ZONE}\n"})
	s.expect("False/ValuesMissing", "${ZONE} in platform/ingress/base/a.yaml:1")
	s.change(func() { s.obj.Spec.Values = map[string]fleetv1.ValueText{"ZONE": "eu1"} })
	s.expect("False/ConfigNotWritten", "writeSecretRef")
	s.change(func() { s.fleet.Spec.ConfigRepository.WriteSecretRef = local("git-write") })
	s.expect("False/SecretNotFound", "fairway-system/git-write")
	if s.file() != "" || s.commits() != "2" {
		t.Errorf("something was written: %s", s.file())
	}

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.SystemNamespace, Name: "git-write"}, StringData: map[string]string{"username": "x", "password": "y"}}
	platformtest.Create(t, s.platform.Client, secret)
	t.Cleanup(func() { remove(t, s.platform.Client, secret) })
	s.expect("True/Succeeded", "clusters/layered/fairway.yaml has network, ingress")
	written := s.file()
	if !strings.Contains(written, "path: ./platform/network/aws") || !strings.Contains(written, "- name: layer-network") {
		t.Errorf("the file:\n%s", written)
	}
	if subject := gittest.Git(t, s.dir, "log", "-1", "--format=%s|%(trailers:key=Cluster,valueonly)", "main"); !strings.HasPrefix(subject, "layers of layered: network, ingress|layered") {
		t.Errorf("the commit says %s", subject)
	}
	s.expect("True/Succeeded", "") // with what is known of the repository
	s.clock.SetTime(s.clock.Now().Add(time.Minute))
	s.expect("True/Succeeded", "") // and with what it is now
	if s.commits() != "3" {
		t.Errorf("%s commits: a second pass wrote", s.commits())
	}
	s.leavesAlone(written)
}

// leavesAlone goes on with what people do to the file.
func (s *layersScene) leavesAlone(written string) {
	s.push(map[string]string{"clusters/layered/kustomization.yaml": "resources: [other.yaml]\n"})
	s.expect("False/FileNotIncluded", "does not list fairway.yaml")
	s.push(map[string]string{"clusters/layered/kustomization.yaml": "", "clusters/layered/fairway.yaml": written + "\n# mine\n"})
	s.expect("False/EditedByHand", "delete it")
	s.change(func() { s.fleet.Spec.Layers = s.fleet.Spec.Layers[:1] })
	s.expect("False/EditedByHand", "")
	if !strings.Contains(s.file(), "# mine") {
		s.t.Errorf("it was overwritten:\n%s", s.file())
	}
	s.push(map[string]string{"clusters/layered/fairway.yaml": ""})
	s.expect("True/Succeeded", "has network;")
	s.change(func() { s.fleet.Spec.Layers = nil })
	s.expect("True/Succeeded", "no layer")
	if have := s.file(); strings.Contains(have, "kind") || !strings.Contains(have, "sha256") {
		s.t.Errorf("without layers the file is:\n%s", have)
	}
	s.change(func() { s.fleet.Spec.ConfigRepository.WriteSecretRef = nil })
	s.expect("none", "")
}

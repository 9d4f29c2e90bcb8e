package stories

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// newcomer is a cluster that begins empty, with nothing in the repository for it.
const newcomer = "dev-aws-eu3"

const layerManifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: layer-%[1]s, namespace: default}
data:
  from: %[2]s on ${CLUSTER_NAME}
  more: "%[3]s"
`

func layerFiles(name, variant, more string) fleet.Files {
	return fleet.Files{fmt.Sprintf("platform/%s/%s/object.yaml", name, variant): fmt.Sprintf(layerManifest, name, variant, more)}
}

// Two layers land on AWS and on Azure, each in its cloud's variant and in order; a variable without a value is told of
// before anything breaks; and a cluster that begins empty gets all of it from Git, with no command more.
func TestLayers(t *testing.T) {
	story := beginLayers(t)
	defer story.end()

	go story.provision()
	for _, id := range members {
		story.awaitWritten(id)
		story.sync(id)
	}
	for id, variant := range map[string]string{fleet.AWS: "aws", fleet.Azure: "azure", fleet.Acquired: "base"} {
		story.awaitLayers(id, variant)
	}
	story.missingValue()
	if <-story.provisioned; story.provisionErr != nil {
		t.Fatal(story.provisionErr)
	}
	story.awaitWritten(newcomer)
	eventually(t, 2*time.Minute, newcomer+" follows the repository", func(ctx context.Context) (bool, string) {
		return condition(ctx, newcomer, fleetv1.ConditionSynced)
	})
	story.awaitLayers(newcomer, "aws")
}

type layersStory struct {
	*testing.T
	ctx     context.Context // goes on when the test is over
	restore func()
	secret  *corev1.Secret

	provisioned  chan struct{} // closed when the newcomer was asked for
	provisionErr error
	undo         func() error // takes the newcomer away
}

func beginLayers(t *testing.T) *layersStory {
	t.Helper()
	user, password := bank.GitCredentials()
	s := &layersStory{T: t, ctx: context.WithoutCancel(t.Context()), provisioned: make(chan struct{}), secret: &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "config-repository-write", Namespace: fleetv1.SystemNamespace},
		StringData: map[string]string{"username": user, "password": password},
	}}
	files := merge(layerFiles("network", "aws", "1"), layerFiles("network", "azure", "1"), layerFiles("network", "base", "1"),
		layerFiles("ingress", "base", "${INGRESS_DOMAIN:=example.com}"), layerFiles("dns", "base", "${DNS_ZONE}"))
	commit(t, "layers", files)
	create(t, s.secret)
	s.restore = changeFleet(t, func(f *fleetv1.FleetSpec) {
		f.ConfigRepository.WriteSecretRef = &fluxmeta.LocalObjectReference{Name: s.secret.Name}
		f.Layers = []fleetv1.Layer{{Name: "network"}, {Name: "ingress", DependsOn: []string{"network"}}}
	})
	return s
}

// provision asks Cluster API for the newcomer. There is no folder for it in the repository.
func (s *layersStory) provision() {
	defer close(s.provisioned)
	objects, err := bank.Provision(s.ctx, "AWS", newcomer, "dev")
	s.undo, s.provisionErr = func() error { return bank.Deprovision(s.ctx, newcomer, objects) }, err
}

func (s *layersStory) awaitWritten(id string) {
	s.Helper()
	eventually(s.T, time.Minute, id+" has its file in the repository", func(ctx context.Context) (bool, string) {
		written, state := condition(ctx, id, fleetv1.ConditionConfigWritten)
		text, err := bank.ConfigFile(ctx, layersFile(id))
		return written && strings.Contains(text, "layer-ingress"), fmt.Sprintf("%s\n%v", state, err)
	})
}

// awaitLayers waits for both layers on a cluster, and holds them to their order.
func (s *layersStory) awaitLayers(id, variant string) {
	s.Helper()
	network := s.awaitLayer(id, "network", variant)
	// Flux looks again for a dependency every 30 s; a person who cannot wait does this.
	s.poke(id, "layer-ingress")
	ingress := s.awaitLayer(id, "ingress", "base")
	if ingress.CreationTimestamp.Before(&network.CreationTimestamp) {
		s.Errorf("on %s, ingress is of %s and network of %s", id, ingress.CreationTimestamp, network.CreationTimestamp)
	}
	root := &kustomizev1.Kustomization{}
	if err := bank.Member(id).Client().Get(s.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "layer-ingress"}, root); err != nil {
		s.Fatal(err)
	}
	if len(root.Spec.DependsOn) != 1 || root.Spec.DependsOn[0].Name != "layer-network" {
		s.Errorf("on %s, ingress depends on %v", id, root.Spec.DependsOn)
	}
}

func (s *layersStory) awaitLayer(id, name, variant string) *corev1.ConfigMap {
	s.Helper()
	obj := &corev1.ConfigMap{}
	eventually(s.T, 90*time.Second, fmt.Sprintf("%s has %s from %s", id, name, variant), func(ctx context.Context) (bool, string) {
		err := bank.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: "default", Name: "layer-" + name}, obj)
		if err != nil {
			return false, err.Error()
		}
		var owner kustomizev1.Kustomization
		err = bank.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "layer-" + name}, &owner)
		return err == nil && ready(&owner) && obj.Data["from"] == variant+" on "+id, fmt.Sprintf("%v, error %v", obj.Data, err)
	})
	return obj
}

// missingValue adds a layer for one cluster that lacks a value of it.
func (s *layersStory) missingValue() {
	s.Helper()
	const id = fleet.AWS
	before, err := bank.ConfigFile(s.Context(), layersFile(id))
	if err != nil {
		s.Fatal(err)
	}
	defer s.patchCluster(id, func(obj *fleetv1.WorkloadCluster) { obj.Labels["dns"] = "yes" })()
	changeFleet(s.T, func(f *fleetv1.FleetSpec) { // end restores the Fleet
		f.Layers = append(f.Layers, fleetv1.Layer{Name: "dns", DependsOn: []string{"network"},
			ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"dns": "yes"}}})
	})
	eventually(s.T, time.Minute, "the missing value is told of", func(ctx context.Context) (bool, string) {
		obj := &fleetv1.WorkloadCluster{}
		if err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
			return false, err.Error()
		}
		c := apimeta.FindStatusCondition(obj.Status.Conditions, fleetv1.ConditionConfigWritten)
		return c != nil && c.Reason == fleetv1.ReasonValuesMissing && strings.Contains(c.Message, "${DNS_ZONE} in platform/dns/base/object.yaml:6"),
			fmt.Sprintf("%+v", c)
	})
	after, err := bank.ConfigFile(s.Context(), layersFile(id))
	if err != nil || after != before {
		s.Errorf("%v, or the file was written nevertheless:\n%s", err, after)
	}
	if synced, state := condition(s.Context(), id, fleetv1.ConditionSynced); !synced || readyReplicas(s.T, id) == 0 {
		s.Errorf("something broke: %s", state)
	}
	s.patchCluster(id, func(obj *fleetv1.WorkloadCluster) {
		obj.Spec.Values = map[string]fleetv1.ValueText{"DNS_ZONE": "eu1.example.com"}
	})
	eventually(s.T, time.Minute, "with a value, the layer is written", func(ctx context.Context) (bool, string) {
		text, err := bank.ConfigFile(ctx, layersFile(id))
		return strings.Contains(text, "layer-dns"), fmt.Sprintf("error %v", err)
	})
	s.sync(id)
	if obj := s.awaitLayer(id, "dns", "base"); obj.Data["more"] != "eu1.example.com" {
		s.Errorf("the value is %q", obj.Data["more"])
	}
}

// patchCluster changes a WorkloadCluster; what it returns takes labels and values away again.
func (s *layersStory) patchCluster(id string, change func(*fleetv1.WorkloadCluster)) (restore func()) {
	s.Helper()
	patch := func(change func(*fleetv1.WorkloadCluster)) {
		s.Helper()
		obj := &fleetv1.WorkloadCluster{}
		if err := bank.Platform.Client().Get(s.ctx, fleet.Key(id), obj); err != nil {
			s.Fatal(err)
		}
		before := obj.DeepCopy()
		if obj.Labels == nil {
			obj.Labels = map[string]string{}
		}
		change(obj)
		if err := bank.Platform.Client().Patch(s.ctx, obj, client.MergeFrom(before)); err != nil {
			s.Fatal(err)
		}
	}
	patch(change)
	return func() {
		patch(func(obj *fleetv1.WorkloadCluster) { delete(obj.Labels, "dns"); obj.Spec.Values = nil })
	}
}

func (s *layersStory) sync(id string) {
	s.Helper()
	if err := bank.Sync(s.ctx, id); err != nil {
		s.Fatal(err)
	}
}

// poke makes Flux look at a Kustomization now.
func (s *layersStory) poke(id, name string) {
	s.Helper()
	if err := bank.Poke(s.ctx, id, name); err != nil {
		s.Fatal(err)
	}
}

// end takes the layers from the Fleet and from the clusters, and leaves everything as it was found.
func (s *layersStory) end() {
	s.Helper()
	changeFleet(s.T, func(f *fleetv1.FleetSpec) { f.Layers = nil })
	for _, id := range members {
		s.await(id+" has no layers in its file", func(ctx context.Context) (bool, string) {
			text, err := bank.ConfigFile(ctx, layersFile(id))
			return err == nil && !strings.Contains(text, "layer-"), fmt.Sprintf("error %v", err)
		})
		s.sync(id)
	}
	for _, id := range members {
		s.await(id+" has no layers", func(ctx context.Context) (bool, string) {
			var left corev1.ConfigMapList
			err := bank.Member(id).Client().List(ctx, &left, client.InNamespace("default"))
			i := slices.IndexFunc(left.Items, func(m corev1.ConfigMap) bool { return strings.HasPrefix(m.Name, "layer-") })
			return err == nil && i < 0, fmt.Sprintf("%d objects, error %v", len(left.Items), err)
		})
	}
	<-s.provisioned
	if err := s.undo(); err != nil {
		s.Error(err)
	}
	s.restore()
	if err := bank.Platform.Client().Delete(s.ctx, s.secret); err != nil && !apierrors.IsNotFound(err) {
		s.Error(err)
	}
	s.restoreRepository()
	for _, id := range members {
		s.await(id+" is Ready", func(ctx context.Context) (bool, string) { return condition(ctx, id, "Ready") })
	}
}

func (s *layersStory) restoreRepository() {
	s.Helper()
	files := fleet.Files{layersFile(newcomer): gitserver.Delete}
	for _, id := range members {
		files[layersFile(id)] = gitserver.Delete
	}
	for _, layer := range []string{"network/aws", "network/azure", "network/base", "ingress/base", "dns/base"} {
		files["platform/"+layer+"/object.yaml"] = gitserver.Delete
	}
	if _, err := bank.Commit(s.ctx, "as it was", files); err != nil {
		s.Error(err)
	}
	for _, id := range members {
		s.sync(id)
	}
}

// await is eventually for what is done after the test, too.
func (s *layersStory) await(want string, check func(ctx context.Context) (bool, string)) {
	s.Helper()
	if err := fleet.Await(s.ctx, 90*time.Second, want, check); err != nil {
		s.Error(errors.Join(errors.New("the fleet is not as it was found"), err))
	}
}

// layersFile is the file of a cluster that the operator writes.
func layersFile(id string) string { return "clusters/" + id + "/fairway.yaml" }

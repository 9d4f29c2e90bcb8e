package workloadcluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

func refusesInvalid(t *testing.T, s *suite) {
	s.platform.Namespace(t, "invalid")
	valid := func() *fleetv1.WorkloadCluster {
		return &fleetv1.WorkloadCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: "invalid", Name: "valid"},
			Spec:       fleetv1.WorkloadClusterSpec{Environment: "dev", Access: fleetv1.Access{ClusterRef: local("c")}},
		}
	}
	for name, c := range map[string]struct {
		change func(*fleetv1.WorkloadCluster)
		want   string
	}{
		"no access": {func(w *fleetv1.WorkloadCluster) { w.Spec.Access = fleetv1.Access{} }, "access"},
		"two ways of access": {func(w *fleetv1.WorkloadCluster) {
			w.Spec.Access.KubeconfigRef = &fleetv1.KubeconfigReference{Name: "x"}
		}, "set exactly one of clusterRef and kubeconfigRef"},
		"a name with dots":     {func(w *fleetv1.WorkloadCluster) { w.Name = "a.b" }, "the name becomes the cluster's id"},
		"a long name":          {func(w *fleetv1.WorkloadCluster) { w.Name = strings.Repeat("a", 64) }, "the name becomes the cluster's id"},
		"a reserved value":     {func(w *fleetv1.WorkloadCluster) { w.Spec.Values = map[string]fleetv1.ValueText{"CLUSTER_X": "1"} }, "names that start with CLUSTER_ are set by Fairway"},
		"an unusable value":    {func(w *fleetv1.WorkloadCluster) { w.Spec.Values = map[string]fleetv1.ValueText{"a-b": "1"} }, "a value's name must match"},
		"no environment":       {func(w *fleetv1.WorkloadCluster) { w.Spec.Environment = "" }, "environment"},
		"a bad environment":    {func(w *fleetv1.WorkloadCluster) { w.Spec.Environment = "Dev!" }, "environment"},
		"an unknown mode":      {func(w *fleetv1.WorkloadCluster) { w.Spec.Mode = "Watch" }, "mode"},
		"an unknown Flux":      {func(w *fleetv1.WorkloadCluster) { w.Spec.Flux.Install = "Mine" }, "install"},
		"an unknown policy":    {func(w *fleetv1.WorkloadCluster) { w.Spec.Deletion.Policy = "Destroy" }, "policy"},
		"a deadline too short": {func(w *fleetv1.WorkloadCluster) { w.Spec.Deletion.Deadline.Duration = time.Second }, "deadline must be between 10s and 24h"},
		"a deadline too long":  {func(w *fleetv1.WorkloadCluster) { w.Spec.Deletion.Deadline.Duration = 25 * time.Hour }, "deadline must be between 10s and 24h"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := valid()
			c.change(obj)
			err := s.platform.Client.Create(t.Context(), obj)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("created, or refused for another reason than %q: %v", c.want, err)
			}
		})
	}
	t.Run("another environment", func(t *testing.T) {
		obj := valid()
		platformtest.Create(t, s.platform.Client, obj)
		obj.Spec.Environment = "prod"
		if err := s.platform.Client.Update(t.Context(), obj); err == nil || !strings.Contains(err.Error(), "environment is immutable") {
			t.Errorf("changed, or refused for another reason: %v", err)
		}
		remove(t, s.platform.Client, obj)
	})
}

func waitsForFleet(t *testing.T, s *suite) {
	obj := s.adopt(t, "", "no-fleet", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		fleetv1.ConditionReachable:      "True/Succeeded",
		fleetv1.ConditionFluxReady:      "Unknown/FleetNotReady",
		fleetv1.ConditionSynced:         "Unknown/FleetNotReady",
		fleetv1.ConditionAgentConnected: "Unknown/FleetNotReady",
		"Ready":                         "False/FleetNotReady",
		"Reconciling":                   "True/FleetNotReady",
		"Stalled":                       "none",
	}
	compare(t, obj, want)
	if obj.Status.KubernetesVersion == "" || obj.Status.ID != "no-fleet" {
		t.Errorf("status lacks the version or the id: %+v", obj.Status)
	}
}

func compare(t *testing.T, obj *fleetv1.WorkloadCluster, want map[string]string) {
	t.Helper()
	have := map[string]string{}
	for condition := range want {
		have[condition] = shows(obj, condition)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("conditions (-want +have):\n%s\n%+v", diff, obj.Status.Conditions)
	}
}

// credentials is a kubeconfig for the same cluster whose user has nothing but what is given.
func credentials(t *testing.T, kubeconfig []byte, user clientcmdapi.AuthInfo) []byte {
	t.Helper()
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &user
	}
	out, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nowhere is a kubeconfig for a port where nobody listens.
func nowhere(t *testing.T, kubeconfig []byte) []byte {
	t.Helper()
	return at(t, kubeconfig, "https://127.0.0.1:1")
}

// at is a kubeconfig for another address.
func at(t *testing.T, kubeconfig []byte, server string) []byte {
	t.Helper()
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.Clusters {
		config.Clusters[name].Server = server
	}
	out, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func refusesKubeconfigs(t *testing.T, s *suite) {
	admin := s.workload.Kubeconfig
	for name, c := range map[string]struct {
		kubeconfig []byte
		want, fix  string
		stalled    string
	}{
		"no-secret":   {nil, "False/KubeconfigNotFound", "create it with a kubeconfig", "none"},
		"empty":       {[]byte{}, "False/KubeconfigInvalid", "store a kubeconfig with an embedded", "True/KubeconfigInvalid"},
		"no-config":   {[]byte("hello: [world"), "False/KubeconfigInvalid", "", "True/KubeconfigInvalid"},
		"exec":        {credentials(t, admin, clientcmdapi.AuthInfo{Exec: execOf("aws")}), "False/KubeconfigNotAllowed", "runs a program", "True/KubeconfigNotAllowed"},
		"file-path":   {credentials(t, admin, clientcmdapi.AuthInfo{ClientCertificate: "/etc/kubernetes/admin.crt", ClientKey: "/etc/kubernetes/admin.key"}), "False/KubeconfigNotAllowed", "embed the data", "True/KubeconfigNotAllowed"},
		"nowhere":     {nowhere(t, admin), "False/Unreachable", "the connection is refused", "none"},
		"wrong-token": {credentials(t, admin, clientcmdapi.AuthInfo{Token: "expired"}), "False/Unauthorized", "store a kubeconfig that works", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := s.adopt(t, "bad", name, c.kubeconfig)
			defer remove(t, s.platform.Client, obj)
			result, err := s.pass(t, obj)
			if result.RequeueAfter == 0 && err == nil {
				t.Error("it is never tried again")
			}
			compare(t, obj, map[string]string{
				fleetv1.ConditionReachable: c.want, fleetv1.ConditionFluxReady: "Unknown/WaitingForPreviousStep",
				fleetv1.ConditionSynced: "Unknown/WaitingForPreviousStep", fleetv1.ConditionAgentConnected: "Unknown/WaitingForPreviousStep",
				"Ready": c.want, "Stalled": c.stalled,
			})
			if text := message(obj, fleetv1.ConditionReachable); !strings.Contains(text, c.fix) {
				t.Errorf("the message does not say %q: %s", c.fix, text)
			}
		})
	}
}

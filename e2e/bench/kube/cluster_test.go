package kube_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

func startCluster(t *testing.T) *kube.Cluster {
	t.Helper()
	built, err := tools.Build(t.Context(), tools.Options{Progress: os.Stderr}, tools.Kube)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	supervisor, err := process.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := supervisor.Stop(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := kube.Start(t.Context(), supervisor, built, kube.Options{Name: "one", Dir: dir + "/one", NoNode: true})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestAClusterServesItsUsersAndSurvivesAStop(t *testing.T) {
	cluster := startCluster(t)

	t.Run("the administrator's kubectl works", func(t *testing.T) {
		out, err := cluster.Kubectl(t.Context(), "version", "-o", "json")
		if err != nil || strings.Count(out, `"gitVersion": "`+tools.KubernetesVersion+`"`) != 2 {
			t.Errorf("got %s, %v", out, err)
		}
	})
	t.Run("an aggregated API server finds the authorities of its callers", func(t *testing.T) {
		found := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: "kube-system", Name: "extension-apiserver-authentication"}
		if err := cluster.Client().Get(t.Context(), key, found); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"client-ca-file", "requestheader-client-ca-file", "requestheader-allowed-names"} {
			if found.Data[key] == "" {
				t.Errorf("%s is empty", key)
			}
		}
	})
	t.Run("a user with a client certificate may do what RBAC grants, nothing else", func(t *testing.T) {
		if err := cluster.ApplyYAML(t.Context(), []byte(reader)); err != nil {
			t.Fatal(err)
		}
		user := connect(t, cluster, "dev@example.com", "developers")
		if err := user.List(t.Context(), &corev1.ConfigMapList{}); err != nil {
			t.Errorf("list ConfigMaps: %v", err)
		}
		if err := user.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
			t.Errorf("list Secrets: %v, want Forbidden", err)
		}
	})
	t.Run("aggregated ClusterRoles are filled", func(t *testing.T) {
		err := kube.Wait(t.Context(), "rules of ClusterRole view", 10*time.Second, func(ctx context.Context) error {
			rules, err := cluster.Kubectl(ctx, "get", "clusterrole", "view", "-o", "jsonpath={.rules}")
			if err == nil && len(rules) < 10 {
				return errors.New("it has none")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("a stopped cluster is dead, and a resumed one has its data", func(t *testing.T) {
		if err := cluster.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Client().List(t.Context(), &corev1.NamespaceList{}); err == nil {
			t.Error("a stopped cluster answers")
		}
		if err := cluster.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, cluster, "dev@example.com", "developers").List(t.Context(), &corev1.ConfigMapList{}); err != nil {
			t.Errorf("after Resume: %v", err)
		}
	})
}

func connect(t *testing.T, cluster *kube.Cluster, user string, groups ...string) client.Client {
	t.Helper()
	data, err := cluster.UserKubeconfig(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const reader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: configmap-reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: configmap-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: configmap-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers}]
`

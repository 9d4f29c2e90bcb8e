package stories

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/fairway-dev/fairway/e2e/fleet"
)

// state is what an object is: its resource version, and a digest of all that is neither its status nor
// Kubernetes' own record of it.
type state struct{ version, content string }

// snapshot is every object of a cluster, as "Kind/namespace/name".
type snapshot map[string]state

// everything lists all kinds of a cluster but those that tell of others, or only of the moment: a node's health
// is in its taints and annotations, too.
func everything(t *testing.T, member fleet.Member) snapshot {
	t.Helper()
	kinds, err := discovery.NewDiscoveryClientForConfig(member.Config())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(member.Config())
	if err != nil {
		t.Fatal(err)
	}
	lists, err := kinds.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	all := snapshot{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains([]string{"events", "leases", "endpoints", "ipaddresses", "componentstatuses", "nodes"}, r.Name) {
				continue
			}
			found, err := objects.Resource(version.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range found.Items {
				all[strings.Replace(r.Kind+"/"+found.Items[i].GetNamespace()+"/"+found.Items[i].GetName(), "//", "/", 1)] = stateOf(t, &found.Items[i])
			}
		}
	}
	return all
}

func stateOf(t *testing.T, obj *unstructured.Unstructured) state {
	t.Helper()
	version := obj.GetResourceVersion()
	content := obj.DeepCopy()
	for _, own := range [][]string{{"status"}, {"metadata", "resourceVersion"}, {"metadata", "managedFields"}} {
		unstructured.RemoveNestedField(content.Object, own...)
	}
	text, err := json.Marshal(content.Object)
	if err != nil {
		t.Fatal(err)
	}
	return state{version, fmt.Sprintf("%x", sha256.Sum256(text))}
}

// change is what came to a cluster from one snapshot to the next.
type change struct {
	came, went, changed []string
	touched             []string // only their status was written, or nothing but Kubernetes' record of them
}

func (s snapshot) to(next snapshot) change {
	var c change
	for name, was := range s {
		switch is, ok := next[name]; {
		case !ok:
			c.went = append(c.went, name)
		case is.content != was.content:
			c.changed = append(c.changed, name)
		case is.version != was.version:
			c.touched = append(c.touched, name)
		}
	}
	for name := range next {
		if _, ok := s[name]; !ok {
			c.came = append(c.came, name)
		}
	}
	for _, list := range [][]string{c.came, c.went, c.changed, c.touched} {
		slices.Sort(list)
	}
	return c
}

func (c change) String() string {
	return fmt.Sprintf("%d objects came, %d went, %d changed, of %d more the status was written", len(c.came), len(c.went), len(c.changed), len(c.touched))
}

// runs is one pod: another uid is another pod.
type runs struct {
	uid      string
	restarts int32
}

// running are the pods of a cluster, by namespace and name.
func running(t *testing.T, member fleet.Member) map[string]runs {
	t.Helper()
	var pods corev1.PodList
	if err := member.Client().List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	out := map[string]runs{}
	for _, pod := range pods.Items {
		one := runs{uid: string(pod.UID)}
		for _, c := range pod.Status.ContainerStatuses {
			one.restarts += c.RestartCount
		}
		out[pod.Namespace+"/"+pod.Name] = one
	}
	return out
}

// except are the texts that none of the conditions holds for.
func except(texts []string, may ...func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool {
		return slices.ContainsFunc(may, func(f func(string) bool) bool { return f(text) })
	})
}

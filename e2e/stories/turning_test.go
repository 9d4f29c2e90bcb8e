package stories

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/e2e/bench/cloud"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// turning is how long tokens turn while the operator goes on. `make turning` makes it ten minutes, a turn a minute.
var turning = flag.Duration("turning", 20*time.Second, "how long TestTurningTokens goes on; tokens turn every minute, or twice in a shorter time")

const (
	turnOverlap = 6 * time.Second  // how long a token is good when the next one is written
	askEvery    = 2 * time.Second  // for a pass over each cluster
	cached      = 10 * time.Second // how long API servers believe what they accepted
)

// Tokens of the clouds' clusters turn, and end soon after. The operator goes on, with whatever token there is: no pass
// fails, no condition leaves True, and nothing is written to its log as an error.
func TestTurningTokens(t *testing.T) {
	for _, id := range members {
		eventually(t, 2*time.Minute, id+" is Ready", func(ctx context.Context) (bool, string) { return condition(ctx, id, "Ready") })
	}
	every := min(time.Minute, *turning/2)
	metrics, began := forwardMetrics(t), time.Now()
	before := readPasses(t, metrics)
	seen := watchFleet(t)
	earlier := tokenConfigs(t)
	turnTokens(t, cloud.Tokens{Life: every + turnOverlap, Overlap: turnOverlap})
	first := earlier
	eventually(t, 10*time.Second, "tokens of a short life are there", func(context.Context) (bool, string) {
		first = tokenConfigs(t)
		return first[fleet.AWS].BearerToken != earlier[fleet.AWS].BearerToken && first[fleet.Azure].BearerToken != earlier[fleet.Azure].BearerToken,
			"one is the earlier one"
	})
	askFor(t, *turning)

	for id, config := range first {
		eventually(t, turnOverlap+2*cached, "the first token of "+id+" has ended", func(ctx context.Context) (bool, string) {
			c, err := client.New(config, client.Options{})
			if err == nil {
				err = c.List(ctx, &corev1.NamespaceList{})
			}
			return apierrors.IsUnauthorized(err), fmt.Sprintf("error %v", err)
		})
	}
	after := readPasses(t, metrics)
	turns, wrong := seen.stop()
	if failed := after["error"] - before["error"]; failed != 0 {
		t.Errorf("%g passes failed", failed)
	}
	for _, text := range append(wrong, operatorErrors(t, began)...) {
		t.Error(text)
	}
	for id := range first {
		if want := int(*turning / every); turns[id] < want {
			t.Errorf("the token of %s turned %d times, want at least %d", id, turns[id], want)
		}
	}
	t.Logf("in %s tokens turned %v times; %g passes, %g failed", time.Since(began).Round(time.Second), turns,
		after.all()-before.all(), after["error"]-before["error"])
}

// turnTokens makes both clouds write such tokens, until the test ends.
func turnTokens(t *testing.T, tokens cloud.Tokens) {
	t.Helper()
	for _, of := range []*cloud.Cloud{bank.Platform.AWS, bank.Platform.Azure} {
		earlier, err := of.Turn(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := of.Turn(context.WithoutCancel(t.Context()), earlier); err != nil {
				t.Error(err)
			}
		})
	}
}

// askFor asks for passes over every cluster until the time is over.
func askFor(t *testing.T, limit time.Duration) {
	t.Helper()
	end, tick := time.After(limit), time.NewTicker(askEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		for _, id := range members {
			if err := bank.RequestReconcile(t.Context(), id, fmt.Sprintf("turning-%d-%d", time.Now().Unix(), n)); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// watched is what a watch on the platform saw until it was stopped.
type watched struct {
	mu    sync.Mutex
	turns map[string]int // of the kubeconfig of a cluster
	wrong []string
	halt  func()
}

// watchFleet watches the WorkloadClusters, and the Secrets that their kubeconfigs are in.
func watchFleet(t *testing.T) *watched {
	t.Helper()
	c, err := client.NewWithWatch(bank.Platform.Config(), client.Options{Scheme: fleet.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{turns: map[string]int{}}
	var done sync.WaitGroup
	for _, list := range []client.ObjectList{&fleetv1.WorkloadClusterList{}, &corev1.SecretList{}} {
		stream, err := c.Watch(ctx, list, client.InNamespace(fleet.Namespace))
		if err != nil {
			t.Fatal(err)
		}
		done.Go(func() { w.follow(ctx, stream) })
	}
	w.halt = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(w.halt)
	return w
}

func (w *watched) stop() (turns map[string]int, wrong []string) {
	w.halt()
	return w.turns, w.wrong
}

func (w *watched) follow(ctx context.Context, stream watch.Interface) {
	defer stream.Stop()
	for e := range stream.ResultChan() {
		w.mu.Lock()
		switch obj := e.Object.(type) {
		case *fleetv1.WorkloadCluster:
			if slices.Contains(members, obj.Name) {
				w.wrong = append(w.wrong, notTrue(obj)...)
			}
		case *corev1.Secret:
			if id := kubeconfigOf(obj.Name); id != "" && e.Type == watch.Modified {
				w.turns[id]++
			}
		default:
			if ctx.Err() != nil {
				break // the end of the watch
			}
			w.wrong = append(w.wrong, fmt.Sprintf("the watch said %s: %v", e.Type, e.Object))
		}
		w.mu.Unlock()
	}
	if ctx.Err() == nil {
		w.mu.Lock()
		w.wrong = append(w.wrong, "a watch ended before the test did")
		w.mu.Unlock()
	}
}

// notTrue says which conditions of a cluster are not as they are when all is well.
func notTrue(obj *fleetv1.WorkloadCluster) (wrong []string) {
	for _, c := range obj.Status.Conditions {
		if c.Status != "True" || c.Type == "Reconciling" || c.Type == "Stalled" {
			wrong = append(wrong, fmt.Sprintf("%s: %s=%s %s: %s", obj.Name, c.Type, c.Status, c.Reason, c.Message))
		}
	}
	return wrong
}

// kubeconfigOf is the cluster whose kubeconfig is in a Secret; "" for another Secret.
func kubeconfigOf(secret string) string {
	for _, id := range members {
		if secret == id+"-kubeconfig" || secret == adopt.SecretName(id) {
			return id
		}
	}
	return ""
}

// tokenConfigs are the kubeconfigs of the clouds' clusters now.
func tokenConfigs(t *testing.T) map[string]*rest.Config {
	t.Helper()
	out := map[string]*rest.Config{}
	for _, id := range []string{fleet.AWS, fleet.Azure} {
		var secret corev1.Secret
		if err := bank.Platform.Client().Get(t.Context(), client.ObjectKey{Namespace: fleet.Namespace, Name: id + "-kubeconfig"}, &secret); err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
		if err != nil {
			t.Fatal(err)
		}
		out[id] = config
	}
	return out
}

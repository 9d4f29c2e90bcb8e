// Package move tells how a fleet moves from one platform cluster to another, with real parts: the steps of
// docs/howto/move-the-platform.md, done with Cluster API's own clusterctl.
package move

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/e2e/fleet"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

const heartbeat = 2 * time.Second

// members are the clusters of the fleet.
var members = []string{fleet.AWS, fleet.Azure, fleet.Acquired}

// A fleet moves to another platform cluster: ids, credentials and history stay, agents go on as they are, and of what happened
// meanwhile nothing is lost and nothing is told twice.
func TestAFleetMovesToAnotherPlatform(t *testing.T) {
	ctl := clusterctl(t)
	var events *sim.Door // what a DNS name is to agents: it leads to one platform, and later to another
	volumes := t.TempDir()
	old, err := fleet.Up(t.Context(), fleet.Options{
		Name: "move", Progress: os.Stderr, Heartbeat: heartbeat, HubVolume: filepath.Join(volumes, "old"),
		EventsVia: func(bus string) (_ string, err error) {
			if events, err = new(sim.Network).Open(t.Context(), bus); err != nil {
				return "", err
			}
			return events.Address(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := old.Down(); err != nil {
			t.Error(err)
		}
	})
	next, err := old.Next(t.Context(), "platform-2", filepath.Join(volumes, "next"))
	if err != nil {
		t.Fatal(err)
	}
	change(t, old, 1)
	before := look(t, old)

	began := time.Now()
	must(t, old.Scale(t.Context(), 0)) // from here on agents keep what happens
	change(t, old, 2)
	run(t, "cp", "-a", filepath.Join(volumes, "old")+"/.", filepath.Join(volumes, "next"))
	must(t, next.MoveClouds(t.Context()))
	moveObjects(t, ctl, old, next)
	must(t, next.Scale(t.Context(), 1))
	events.PointTo(next.EventsAddress())
	must(t, next.AwaitReady(t.Context()))
	t.Logf("from the old operator's end to a fleet that is Ready on the next platform: %s", time.Since(began).Round(100*time.Millisecond))

	after := look(t, next)
	if diff := cmp.Diff(before.identity, after.identity); diff != "" {
		t.Errorf("identities (-old platform +next platform):\n%s", diff)
	}
	compareEvents(t, before, after)
	nothingLeft(t, old)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// clusterctl is the path of Cluster API's own command line.
func clusterctl(t *testing.T) string {
	t.Helper()
	built, err := tools.Build(t.Context(), tools.Options{Progress: os.Stderr}, tools.Clusterctl)
	if err != nil {
		t.Fatal(err)
	}
	return built.File(tools.Clusterctl, "clusterctl")
}

// moveObjects moves what is on the old platform as the page says: first the rights that are no object of Cluster API's, then
// Fairway's own Secrets with the Fleet, then the clusters.
func moveObjects(t *testing.T, ctl string, old, next *fleet.Fleet) {
	t.Helper()
	if _, err := old.Platform.Kubectl(t.Context(), "label", "-n", fleetv1.SystemNamespace, "secret", "config-repository", fleetv1.LabelMove+"="); err != nil {
		t.Fatal(err)
	}
	moveRights(t, old, next)
	for _, namespace := range []string{fleetv1.SystemNamespace, fleet.Namespace} {
		cmd := exec.CommandContext(t.Context(), ctl, "move", "-v", "1", "--namespace", namespace, "--kubeconfig", old.Platform.Kubeconfig, "--to-kubeconfig", next.Platform.Kubeconfig)
		cmd.Env = append(os.Environ(), "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "XDG_CONFIG_HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		t.Logf("clusterctl move -n %s:\n%s", namespace, out)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// moveRights copies the Roles by which the operator may renew tokens of adopted clusters.
func moveRights(t *testing.T, old, next *fleet.Fleet) {
	t.Helper()
	const template = `{{range .items}}{{.kind}} {{.metadata.name}}{{"\n"}}{{end}}`
	listed, err := old.Platform.Kubectl(t.Context(), "get", "roles,rolebindings", "-n", fleet.Namespace, "-l", "app.kubernetes.io/part-of=fairway", "-o", "go-template="+template)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Platform.Kubectl(t.Context(), "create", "namespace", fleet.Namespace); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(listed) {
		kind, object, _ := strings.Cut(strings.TrimSpace(line), " ")
		manifest, err := old.Platform.Kubectl(t.Context(), "get", kind, object, "-n", fleet.Namespace, "-o", "json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := next.Platform.KubectlInput(t.Context(), withoutOwners(t, manifest), "create", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
}

// change commits something that every cluster applies, and waits until it runs there.
func change(t *testing.T, f *fleet.Fleet, round int) {
	t.Helper()
	if _, err := f.Commit(t.Context(), fmt.Sprintf("round %d", round), fleet.Files{fleet.NotePath: fleet.Note(round)}); err != nil {
		t.Fatal(err)
	}
	for _, id := range members {
		must(t, f.Sync(t.Context(), id))
		must(t, fleet.Await(t.Context(), 2*time.Minute, fmt.Sprintf("%s has round %d", id, round), func(ctx context.Context) (bool, string) {
			var note corev1.ConfigMap
			if err := f.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: fleet.Team, Name: "note"}, &note); err != nil {
				return false, err.Error()
			}
			return note.Data["round"] == fmt.Sprint(round), "round " + note.Data["round"]
		}))
	}
}

// nothingLeft: what has moved is on one platform only.
func nothingLeft(t *testing.T, old *fleet.Fleet) {
	t.Helper()
	var clusters fleetv1.WorkloadClusterList
	if err := old.Platform.Client().List(t.Context(), &clusters); err != nil {
		t.Fatal(err)
	}
	for i := range clusters.Items {
		t.Errorf("the old platform still has %s", clusters.Items[i].Name)
	}
}

package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
)

// errKilled is what a process that was killed gets for everything that it still tries.
var errKilled = errors.New("the operator is killed")

// killer ends the operator just after one of the things that it does to the world outside, when nobody learns any more that it is done.
// That is also just before the next one: a process that is killed leaves nothing but what it has done.
type killer struct {
	mu   sync.Mutex
	at   int      // the thing's number, from 1; 0: before the first
	done []string // what was done, or would have been
	dead bool
}

// never is nobody's killer.
const never = -1

// do does a thing, unless the operator is dead or dies of it.
func (k *killer) do(name string, thing func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return errKilled
	}
	k.done = append(k.done, name)
	switch k.at {
	case 0:
		k.dead = true
	case len(k.done):
		k.dead = true
		if err := thing(); err != nil {
			return err
		}
	default:
		return thing()
	}
	return errKilled
}

// watched is the suite's reconciler whose deeds a killer counts.
func (s *suite) watched(t *testing.T, k *killer) {
	t.Helper()
	s.restart(t)
	s.Client = interceptor.NewClient(s.platform.WithWatch(t), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return k.do("write the status", func() error { return c.SubResource(sub).Patch(ctx, obj, patch, options...) })
		},
	})
	s.Config = killable{s.Config, k}
	s.Announcer = mortal{s.said, k}
}

// killable is a config repository.
type killable struct {
	ConfigRepository
	killer *killer
}

// Submit implements ConfigRepository.
func (c killable) Submit(ctx context.Context, fleet *fleetv1.Fleet, change gitrepo.Change) (revision string, err error) {
	err = c.killer.do("push "+strings.Fields(change.Message.Subject)[0], func() error {
		revision, err = c.ConfigRepository.Submit(ctx, fleet, change)
		return err
	})
	return revision, err
}

// mortal is an event bus.
type mortal struct {
	Announcer
	killer *killer
}

// Announce implements Announcer.
func (a mortal) Announce(ctx context.Context, e event.Event) error {
	return a.killer.do("say "+e.Type.What(), func() error { return a.Announcer.Announce(ctx, e) })
}

// outcome is what a release comes to, without what differs from one to another.
type outcome struct {
	Phase    fleetv1.Phase
	Ready    string
	Targets  []fleetv1.Target
	Commits  []string
	News     []string
	Pointers []string
}

// life takes a release from its beginning to its end with an operator that is killed once, and started anew.
func (s *suite) life(t *testing.T, team string, k *killer, fails bool) outcome {
	t.Helper()
	s.watched(t, k)
	old := s.push(t, team, "ledger", manifests("ledger", "1"))
	first := s.ask(t, team, "first", fleetv1.ReleaseSpec{Service: "ledger", Artifact: old, Environment: "prod"})
	if fails { // what it goes back to has been released by an operator that nobody kills
		s.watched(t, &killer{at: never})
		s.phase(t, first, fleetv1.PhaseSucceeded)
		s.watched(t, k)
	}
	obj, id := first, old
	if fails {
		id = s.push(t, team, "ledger", manifests("ledger", "2"))
		obj = s.ask(t, team, "second", fleetv1.ReleaseSpec{Service: "ledger", Artifact: id, Environment: "prod"})
	}
	s.untilOver(t, obj, k, func() { s.live(t, team, id, fails) })
	return s.outcome(t, team, obj, old, id)
}

// untilOver takes passes until a release is over and an operator that lives has nothing left to do for it.
func (s *suite) untilOver(t *testing.T, obj *fleetv1.Release, k *killer, meanwhile func()) {
	t.Helper()
	for range 60 {
		_, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
		dead := k.dead
		if dead {
			k = &killer{at: never}
			s.watched(t, k)
		} else if err != nil {
			t.Fatal(err)
		}
		if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
		if obj.Status.Phase.Final() && !dead {
			return
		}
		meanwhile()
	}
	t.Fatalf("it is never over\n%s", describe(obj))
}

// live lets clusters run what they are told. The newer artifact fails on the second wave's cluster.
func (s *suite) live(t *testing.T, team, id string, fails bool) {
	t.Helper()
	s.obey(t, team, "ledger")
	if at := s.pointer(t, rest, team, "ledger"); fails && at.Artifact == id {
		s.view.failing(rest, team, "ledger", id, s.clock.Now())
	}
	s.clock.SetTime(s.clock.Now().Add(5 * time.Second))
}

func (s *suite) outcome(t *testing.T, team string, obj *fleetv1.Release, old, id string) outcome {
	t.Helper()
	name := strings.NewReplacer(id, "NEW", old, "OLD", team, "TEAM")
	if id == old {
		name = strings.NewReplacer(id, "NEW", team, "TEAM")
	}
	out := outcome{Phase: obj.Status.Phase, Ready: condition(obj, "Ready"), Targets: slices.Clone(obj.Status.Targets), News: s.said.of(t, obj)}
	for i := range out.Targets {
		target := &out.Targets[i]
		target.Previous, target.Message = name.Replace(target.Previous), name.Replace(target.Message)
		target.MovedAt, target.AvailableAt = nil, nil
	}
	for _, subject := range s.commits(t, team, "ledger") {
		out.Commits = append(out.Commits, name.Replace(subject))
	}
	for _, cluster := range []string{canary, rest} {
		at := s.pointer(t, cluster, team, "ledger")
		out.Pointers = append(out.Pointers, name.Replace(fmt.Sprintf("%s %s %s", cluster, at.Artifact, at.Release)))
	}
	return out
}

// lives is how many times a release may be over before what the operator is to be killed at: on a busy machine two looks at it may come
// to one, and with them two writes of its status.
const lives = 3

// restarts kills the operator at everything that it does in the life of a release.
func (s *suite) restarts(t *testing.T) {
	s.environments(t, func(prod *fleetv1.EnvironmentSpec) { prod.OnFailure = fleetv1.OnFailureRollBack })
	for name, fails := range map[string]bool{"that succeeds": false, "that is taken back": true} {
		t.Run("a release "+name, func(t *testing.T) {
			team := fmt.Sprintf("kill-%t", fails)
			calm := &killer{at: never}
			want := s.life(t, team, calm, fails)
			t.Logf("it does: %s", strings.Join(calm.done, ", "))
			for at, what := range append([]string{"nothing"}, calm.done...) {
				t.Run(fmt.Sprintf("killed after %d: %s", at, what), func(t *testing.T) {
					for try := range lives {
						k := &killer{at: at}
						have := s.life(t, fmt.Sprintf("%s-%d-%d", team, at, try), k, fails)
						if diff := cmp.Diff(want, have); diff != "" {
							t.Errorf("what came of it (-want +have):\n%s", diff)
						}
						if k.dead {
							return
						}
					}
					t.Fatalf("nobody was killed in %d lives", lives)
				})
			}
		})
	}
}

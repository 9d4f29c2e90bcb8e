package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/observe"
)

// phase is where a service is between two changes.
type phase int

const (
	quiet       phase = iota
	reconciling       // Flux tries the new revision
	rolling           // the Deployment has its new template
	rolledOut         // the new pod is available, Flux has not said so yet
	crashed           // the pod is in a crash loop
	degraded          // the Deployment has noticed
)

func (p phase) applying() bool { return p == reconciling || p == rolling || p == rolledOut }

// KubernetesVersion is what every World says it runs.
const KubernetesVersion = "v1.37.1"

// epochOfWorld is when everything that never changes was made.
var epochOfWorld = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// Teams own the services in turn.
var Teams = []string{
	"payments", "ledger", "lending", "cards", "identity", "search", "mobile", "risk", "accounts", "billing",
	"fraud", "support", "pricing", "insights", "loyalty", "savings", "transfers", "treasury", "web", "onboarding",
}

// Step is one thing that happened on a cluster, and the event that has to tell of it.
type Step struct {
	Cluster  string
	Type     event.Type
	Object   event.Object
	Artifact string
	At       time.Time // with the monotonic clock
}

// World is what happens on one cluster: services, each a Deployment with a pod and a Kustomization
// of its own, under a root Kustomization and its GitRepository. It goes on whether an agent looks
// or not. It is an agent.Source and safe for concurrent use.
type World struct {
	cluster string
	stepped func(Step) // called before the agent can know

	mu       sync.Mutex
	random   *rand.Rand
	services []*service
	last     uint64 // number of the newest change
	watcher  *watcher
}

var _ agent.Source = (*World)(nil)

// NewWorld makes a cluster of about that many Flux objects and workloads, all of them well. The
// same seed gives the same changes. stepped may be nil.
func NewWorld(cluster string, objects int, seed uint64, stepped func(Step)) *World {
	if stepped == nil {
		stepped = func(Step) {}
	}
	w := &World{cluster: cluster, stepped: stepped, random: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)), last: 1}
	for i := range max(1, (objects-2)/2) {
		w.services = append(w.services, &service{
			team: Teams[i%len(Teams)], name: fmt.Sprintf("service-%d", i), number: 1, before: 1, generation: 1, at: epochOfWorld,
		})
	}
	return w
}

// Objects counts the Flux objects and workloads.
func (w *World) Objects() int { return 2 + 2*len(w.services) }

// crashOneIn is how many changes of a quiet service there are to one crash.
const crashOneIn = 20

// Step lets the next thing happen to some service: a rollout takes four steps, a crash and what
// comes of it three.
func (w *World) Step() Step {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[w.random.IntN(len(w.services))]
	if s.phase == quiet && w.random.IntN(crashOneIn) == 0 {
		return w.crash(s)
	}
	return w.advance(s)
}

// Settle brings every service that is under way to its end, and returns the steps.
func (w *World) Settle() []Step {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Step
	for _, s := range w.services {
		for s.phase != quiet {
			out = append(out, w.advance(s))
		}
	}
	return out
}

// advance is the next step of a service.
func (w *World) advance(s *service) Step {
	now := time.Now()
	s.at = now
	switch s.phase {
	case quiet:
		w.last++
		s.before, s.number, s.phase = s.number, w.last, reconciling
		return w.tell(s, event.FluxProgressing, now, s.kustomization())
	case reconciling:
		s.phase, s.generation = rolling, s.generation+1
		return w.tell(s, event.WorkloadRolling, now, s.deployment(), s.pod(s.number))
	case rolling:
		s.phase = rolledOut
		w.remove(s.pod(s.before))
		return w.tell(s, event.WorkloadAvailable, now, s.deployment())
	case rolledOut:
		s.phase = quiet
		return w.tell(s, event.FluxSucceeded, now, s.kustomization())
	case crashed:
		s.phase = degraded
		return w.tell(s, event.WorkloadDegraded, now, s.deployment())
	}
	dead := s.pod(s.number)
	s.phase, s.restarts = quiet, s.restarts+crashRestarts
	w.remove(dead)
	return w.tell(s, event.WorkloadAvailable, now, s.pod(s.number), s.deployment())
}

func (w *World) crash(s *service) Step {
	s.phase, s.at = crashed, time.Now()
	return w.tell(s, event.EpisodeOpened, s.at, s.pod(s.number))
}

// tell hands the changed objects on; the first is what the event of the step is about, or stands
// for the Deployment.
func (w *World) tell(s *service, typ event.Type, now time.Time, objects ...observe.Object) Step {
	about := event.Object{Kind: "Deployment", Namespace: s.team, Name: s.name}
	if typ.Kind() == event.KindFlux {
		about = event.Object{Kind: "Kustomization", Namespace: fluxNamespace, Name: s.kustomizationName()}
	}
	step := Step{Cluster: w.cluster, Type: typ, Object: about, Artifact: Artifact(s.number), At: now}
	w.stepped(step)
	for _, obj := range objects {
		w.push(func(to agent.Sink) { to.Apply(obj) })
	}
	return step
}

func (w *World) remove(obj observe.Object) {
	w.push(func(to agent.Sink) { to.Remove(obj) })
}

// Logs implements agent.Source: what a crashing container wrote.
func (w *World) Logs(_ context.Context, ref observe.LogRef) ([]byte, string) {
	return []byte("starting " + ref.Pod + "\nlevel=error msg=\"cannot reach ledger-db: connection refused\"\npanic: no database\n"), ""
}

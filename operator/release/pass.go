package release

import (
	"sync"
	"time"

	"github.com/fluxcd/pkg/runtime/patch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/policy"
)

// pass is what one reconcile knows and did.
type pass struct {
	obj     *fleetv1.Release
	key     client.ObjectKey
	patcher *patch.SerialPatcher

	fleet    *fleetv1.Fleet
	clusters map[string]*fleetv1.WorkloadCluster // of the environment, by id
	snapshot *gitrepo.Snapshot
	input    policy.Input

	revision string        // of the commit that this pass made last; "": none
	after    time.Duration // look again then; 0: no wish
}

// team is whose service is released.
func (p *pass) team() string { return p.obj.Namespace }

// service is what is released.
func (p *pass) service() string { return p.obj.Spec.Service }

// lane is what only one pass at a time works on: a service in an environment.
type lane struct{ team, service, environment string }

// laneRetry is when a pass that found its lane taken comes again.
const laneRetry = 500 * time.Millisecond

func laneOf(obj *fleetv1.Release) lane {
	return lane{obj.Namespace, obj.Spec.Service, obj.Spec.Environment}
}

// lanes are those that are taken. It is safe for concurrent use.
type lanes struct {
	mu    sync.Mutex
	taken map[lane]bool
}

func (l *lanes) enter(of lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[of] {
		return false
	}
	if l.taken == nil {
		l.taken = map[lane]bool{}
	}
	l.taken[of] = true
	return true
}

func (l *lanes) leave(of lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, of)
}

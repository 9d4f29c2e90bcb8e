package view

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Bounds on what the book holds. History has what is older.
const (
	maxLanes      = 20_000
	keepReleases  = 16 // of a service in an environment
	keepArtifacts = 32 // of a service
	keepLines     = 2  // newest releases of a service in an environment whose log lines are kept
	maxTargets    = 5_000
)

// book is what the platform says of releases and artifacts. Every event has a whole state, so that
// the newest word on each release, and on each cluster of it, is all that counts: the order in which
// events come does not.
type book struct {
	mu        sync.RWMutex
	lanes     map[string][]*release  // by lane, the newest first
	artifacts map[string][]*artifact // by service, the newest first
	outcomes  map[Outcome]uint64     // not in checkpoints
}

// Outcome is how releases of a team to an environment ended.
type Outcome struct {
	Team, Environment, Phase string
}

// release is one Release, by the newest word of it.
type release struct {
	word    word
	state   event.Release // without its clusters
	targets map[string]target
}

// target is how far one cluster is, by the newest word of it.
type target struct {
	word word
	of   event.ReleaseTarget
}

type artifact struct {
	word word
	of   event.Artifact
}

// word is when the platform said something. What has ended stays so, whatever else comes late. Times of
// the platform are whole seconds: of the same one, the order of the stream decides.
type word struct {
	final    bool
	at       int64  // UnixNano, when it happened
	sequence uint64 // in the stream
}

func (w word) compare(other word) int {
	final := 0
	if w.final != other.final {
		final = -1
		if w.final {
			final = 1
		}
	}
	return cmp.Or(final, cmp.Compare(w.at, other.at), cmp.Compare(w.sequence, other.sequence))
}

// laneOf is where the releases of a service to an environment follow each other. Names hold no slash.
func laneOf(team, service, environment string) string {
	return team + "/" + service + "/" + environment
}

func newBook() *book {
	return &book{lanes: map[string][]*release{}, artifacts: map[string][]*artifact{}, outcomes: map[Outcome]uint64{}}
}

// take folds an event of the platform about a release or an artifact.
func (l *book) take(r Record, kind event.Kind) error {
	entry, w := r.Event.Entry(), word{at: r.Event.Time.UnixNano(), sequence: r.Sequence}
	l.mu.Lock()
	defer l.mu.Unlock()
	if kind == event.KindArtifact {
		var p event.Artifact
		if err := payload(&entry, &p); err != nil {
			return err
		}
		return l.artifact(&artifact{w, p})
	}
	var p event.Release
	if err := payload(&entry, &p); err != nil {
		return err
	}
	w.final = fleetv1.Phase(p.Phase).Final()
	return l.release(p, w)
}

func (l *book) release(p event.Release, w word) error {
	if namespace, name, _ := strings.Cut(p.Name, "/"); namespace == "" || name == "" || p.Team == "" || p.Service == "" || p.Environment == "" {
		return ErrPayload
	}
	lane := laneOf(p.Team, p.Service, p.Environment)
	have, known := l.lanes[lane]
	if !known && len(l.lanes) >= maxLanes {
		return ErrTooMuch
	}
	news := newRelease(p, w)
	at, found := slices.BinarySearchFunc(have, news, newestFirst)
	over := found && have[at].word.final
	if !found {
		have = slices.Insert(have, at, news)
	} else if err := have[at].merge(news); err != nil {
		return err
	}
	if w.final && !over && at < keepReleases {
		l.outcomes[Outcome{p.Team, p.Environment, p.Phase}]++
	}
	for _, old := range have[min(len(have), keepLines):] {
		old.state.Lines = nil
	}
	l.lanes[lane] = have[:min(len(have), keepReleases):min(len(have), keepReleases)]
	return nil
}

func newRelease(p event.Release, w word) *release {
	r := &release{word: w, state: p, targets: make(map[string]target, len(p.Clusters))}
	r.state.Clusters = nil
	for _, t := range p.Clusters {
		r.targets[t.Cluster] = target{w, t}
	}
	return r
}

// newestFirst orders the releases of a lane. A Release is asked for once, so that all its events say
// the same moment.
func newestFirst(a, b *release) int {
	return cmp.Or(b.state.RequestedAt.Compare(a.state.RequestedAt), strings.Compare(b.state.Name, a.state.Name))
}

// merge takes what the other event of the same release has newer.
func (r *release) merge(news *release) error {
	if news.word.compare(r.word) >= 0 {
		r.word, r.state = news.word, news.state
	}
	for cluster, t := range news.targets {
		have, found := r.targets[cluster]
		if !found && len(r.targets) >= maxTargets {
			return errors.Join(ErrTooMuch, errTargets)
		}
		if !found || t.word.compare(have.word) >= 0 {
			r.targets[cluster] = t
		}
	}
	return nil
}

var errTargets = errors.New("a release has too many clusters")

func (l *book) artifact(news *artifact) error {
	if news.of.Team == "" || news.of.Service == "" || news.of.ID == "" {
		return ErrPayload
	}
	service := news.of.Team + "/" + news.of.Service
	have, known := l.artifacts[service]
	if !known && len(l.artifacts) >= maxLanes {
		return ErrTooMuch
	}
	if at := slices.IndexFunc(have, func(a *artifact) bool { return a.of.ID == news.of.ID }); at >= 0 {
		if news.word.compare(have[at].word) < 0 {
			return nil
		}
		have = slices.Delete(have, at, at+1)
	}
	at, _ := slices.BinarySearchFunc(have, news, func(a, b *artifact) int {
		return cmp.Or(b.of.Source.Created.Compare(a.of.Source.Created), strings.Compare(b.of.ID, a.of.ID))
	})
	have = slices.Insert(have, at, news)
	l.artifacts[service] = have[:min(len(have), keepArtifacts):min(len(have), keepArtifacts)]
	return nil
}

// clusters lists the targets, ordered by id.
func (r *release) clusters() []string { return slices.Sorted(maps.Keys(r.targets)) }

// moved says whether any cluster was told to run the artifact.
func (r *release) moved() bool { return !r.state.StartedAt.IsZero() }

func (r *release) final() bool { return fleetv1.Phase(r.state.Phase).Final() }

// order is what of a release concerns one cluster.
type order struct {
	release  *release
	target   event.ReleaseTarget
	artifact string // that Git tells the cluster to run
}

// wanted is what Git tells a cluster to run, by the releases of its lane; false when none of those
// that are known moved it.
func wanted(lane []*release, cluster string) (order, bool) {
	for _, r := range lane {
		t, ok := r.targets[cluster]
		if !ok || t.of.MovedAt.IsZero() || t.of.State == string(fleetv1.TargetMoving) { // the commit is about to be pushed
			continue
		}
		if t.of.State == string(fleetv1.TargetRolledBack) {
			return order{r, t.of, t.of.Previous}, true
		}
		return order{r, t.of, r.state.Artifact}, true
	}
	return order{}, false
}

// since is from when on the cluster was told so.
func (o order) since() time.Time {
	if o.target.State == string(fleetv1.TargetRolledBack) && !o.release.state.FinishedAt.IsZero() {
		return o.release.state.FinishedAt
	}
	return o.target.MovedAt
}

// underWay says whether the cluster is expected not to run the artifact yet.
func (o order) underWay() bool {
	switch fleetv1.TargetState(o.target.State) {
	case fleetv1.TargetRollingOut, fleetv1.TargetUnknown:
		return !o.release.final()
	}
	return false
}

// ran is when the cluster ran the artifact in health last, by the newest release that says it.
func ran(lane []*release, cluster, artifact string) time.Time {
	for _, r := range lane {
		if t, ok := r.targets[cluster]; ok && r.state.Artifact == artifact && !t.of.AvailableAt.IsZero() {
			return t.of.AvailableAt
		}
	}
	return time.Time{}
}

// replace takes over what another book, which nobody else has, holds.
func (l *book) replace(other *book) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lanes, l.artifacts = other.lanes, other.artifacts
}

// takenBack says whether clusters that had moved are back, all of them.
func (r *release) takenBack() bool {
	return fleetv1.Phase(r.state.Phase) == fleetv1.PhaseRolledBack
}

// before is the artifact that clusters went back to: that of most, of as many the one that sorts first.
func (r *release) before() string {
	count := map[string]int{}
	best := ""
	for _, t := range r.targets {
		if t.of.State == string(fleetv1.TargetRolledBack) {
			count[t.of.Previous]++
		}
	}
	for _, artifact := range slices.Sorted(maps.Keys(count)) {
		if count[artifact] > count[best] {
			best = artifact
		}
	}
	return best
}

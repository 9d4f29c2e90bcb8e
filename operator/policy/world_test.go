package policy

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// site is a cluster of a world, and how the service is on it.
type site struct {
	Cluster
	runs    string // artifact that its workloads carry
	well    bool
	since   time.Time // when runs or well became what it is
	failing *Failure
	dark    bool
	heard   time.Time
}

// life is what really became of a Release, whatever its status says.
type life struct {
	was       map[string]string    // what a cluster was to run before the Release moved it
	told      map[string]time.Time // when it was told to run the artifact
	taken     map[string]bool      // clusters whose pointer somebody else changed, when the status knew that the Release had moved it
	rollbacks int
	forgot    bool // a status was lost after the commit that it tells of
	ended     fleetv1.Phase
	checks    map[string]Check
}

// world is an environment of one service, its Git repository, and an operator that may die at any point of a pass.
type world struct {
	t        *rapid.T
	now      time.Time
	env      fleetv1.Environment
	policies []fleetv1.ReleasePolicy
	sites    []*site
	git      map[string]Pointer
	built    []Artifact // oldest first
	releases []*fleetv1.Release
	lives    map[string]*life
	origin   Origin
	sight    Sight
	names    int
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: now, git: map[string]Pointer{}, lives: map[string]*life{}, origin: Origin{Found: true}}
	w.env = environmentOf("prod", func(s *fleetv1.EnvironmentSpec) {
		s.Timeout = lasting(timeout)
		s.Branches = rapid.SampledFrom([]string{"", "main", "main|feature"}).Draw(t, "branches")
		s.Approvals.Required = rapid.Int32Range(0, 1).Draw(t, "approvals")
		s.OnFailure = rapid.SampledFrom([]fleetv1.FailureAction{fleetv1.OnFailureHalt, fleetv1.OnFailureRollBack}).Draw(t, "on failure")
		if rapid.Bool().Draw(t, "has a path") {
			after("staging")(s)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "waves") {
			s.Waves = append(s.Waves, fleetv1.Wave{Name: fmt.Sprint("w", i), ClusterSelector: selecting(fmt.Sprint(i)),
				MaxConcurrent: ptr(intstr.FromInt32(rapid.Int32Range(1, 2).Draw(t, "at the same time"))),
				Soak:          lasting(time.Duration(rapid.IntRange(0, 6).Draw(t, "soak")) * time.Minute)})
		}
	})
	auto := automatic()
	if rapid.Bool().Draw(t, "by itself") {
		auto = automatic("main", "prod")
	}
	w.policies = []fleetv1.ReleasePolicy{policy("ledger", auto)}
	for range rapid.IntRange(1, 5).Draw(t, "clusters") {
		w.join()
	}
	w.push("main")
	return w
}

func (w *world) chance(what string, of int) bool { return rapid.IntRange(1, of).Draw(w.t, what) == 1 }

func (w *world) pass(seconds int) {
	w.now = w.now.Add(time.Duration(seconds)*time.Second + 137*time.Millisecond)
}

func (w *world) join() {
	w.names++
	w.sites = append(w.sites, &site{Cluster: labelled(fmt.Sprintf("c%02d", w.names), fmt.Sprint(rapid.IntRange(0, 3).Draw(w.t, "wave"))), since: w.now, heard: w.now})
}

func (w *world) push(branch string) {
	w.names++
	w.built = append(w.built, made(fmt.Sprintf("%s-%d", branch, w.names), branch, now.Sub(w.now)))
}

func (w *world) find(id string) Artifact {
	i := slices.IndexFunc(w.built, func(a Artifact) bool { return a.ID == id })
	if i < 0 {
		w.t.Fatalf("there is no artifact %s", id)
	}
	return w.built[i]
}

func (w *world) ask(name string, spec fleetv1.ReleaseSpec) {
	r := &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name, CreationTimestamp: metav1.NewTime(w.now.Truncate(time.Second))}, Spec: spec}
	w.releases = append(w.releases, r)
	w.lives[name] = &life{was: map[string]string{}, told: map[string]time.Time{}, taken: map[string]bool{}, checks: map[string]Check{}}
}

func (w *world) askByHand() {
	w.names++
	intent := rapid.SampledFrom([]fleetv1.Intent{fleetv1.IntentRelease, fleetv1.IntentRelease, fleetv1.IntentRollback}).Draw(w.t, "intent")
	w.ask(fmt.Sprintf("ledger-%02d", w.names), fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Intent: intent, RequestedBy: asker,
		Artifact: rapid.SampledFrom(w.built).Draw(w.t, "artifact").ID})
}

// auto asks for what policies want.
func (w *world) auto() {
	in := AutoInput{Policy: &w.policies[0], Artifacts: map[string][]Artifact{}, Environments: []fleetv1.Environment{w.env, environmentOf("staging")}, Now: w.now}
	for i := len(w.built) - 1; i >= 0; i-- {
		branch := w.built[i].Source.Branch
		in.Artifacts[branch] = append(in.Artifacts[branch], w.built[i])
	}
	for _, r := range w.releases {
		in.Releases = append(in.Releases, *r)
	}
	all, _ := AutoReleases(in)
	for _, a := range all {
		for _, r := range w.releases {
			if r.Name == a.Name || r.Spec.Artifact == a.Spec.Artifact {
				w.t.Fatalf("%s is asked for again", a.Spec.Artifact)
			}
		}
		w.ask(a.Name, a.Spec)
	}
}

// rollout is what the view says of a site since a time.
func (s *site) rollout(now, since time.Time) Rollout {
	r := Rollout{Known: !s.dark, AsOf: now, Artifact: s.runs, Applied: true, Available: s.well, Since: s.since}
	if s.dark {
		r.AsOf = s.heard
	}
	if s.failing != nil && !s.failing.Since.Before(since) {
		r.Failure = s.failing
	}
	return r
}

// settle lets a cluster come to what its pointer says, in health or not.
func (w *world) settle(s *site, well bool) {
	want := w.git[s.ID].Artifact
	if s.runs == want && s.well == well && (s.failing == nil) == well {
		return
	}
	s.runs, s.well, s.since, s.failing = want, well, w.now, nil
	if !well {
		s.failing = &Failure{Reason: fleetv1.ReasonRolloutFailed, Object: "Deployment/payments/ledger", Message: "it crashes", Since: w.now}
	}
}

// happen lets something happen.
func (w *world) happen() {
	if len(w.sites) > 0 {
		w.happenTo(rapid.SampledFrom(w.sites).Draw(w.t, "to"))
	}
	spec := &w.env.Spec
	switch rapid.IntRange(0, 15).Draw(w.t, "what") {
	case 0:
		w.push(rapid.SampledFrom([]string{"main", "feature"}).Draw(w.t, "branch"))
	case 1, 2:
		w.askByHand()
	case 3, 4:
		if r := w.some(); r != nil && r.Spec.Approvals == nil {
			r.Spec.Approvals = []fleetv1.Approval{{By: rapid.SampledFrom([]string{asker, "lead@example.com"}).Draw(w.t, "who"), At: metav1.NewTime(w.now)}}
		}
	case 5:
		w.names++
		begin := w.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(w.t, "freeze in")) * time.Minute)
		spec.Freezes = append(spec.Freezes, fleetv1.Freeze{Name: fmt.Sprint("f", w.names), From: metav1.NewTime(begin), To: metav1.NewTime(begin.Add(7 * time.Minute))})
	case 6:
		spec.Branches = rapid.SampledFrom([]string{"", "main", "feature"}).Draw(w.t, "branches")
	case 7:
		w.policies[0].Spec.Branches = branchesOf("prod", rapid.SampledFrom([]string{"main", ".*", "none"}).Draw(w.t, "team's branches"))
	case 8:
		if len(w.sites) < 6 {
			w.join()
		}
	case 9:
		w.leave()
	case 10:
		if r := w.some(); r != nil {
			r.Spec.Suspend = !r.Spec.Suspend
		}
	case 11:
		w.meddle()
	case 12:
		a := rapid.SampledFrom(w.built).Draw(w.t, "staging runs")
		r := healthy(a.ID, 0)
		r.Known, r.Since = rapid.Bool().Draw(w.t, "known"), w.now.Add(-time.Duration(rapid.IntRange(0, 15).Draw(w.t, "healthy for"))*time.Minute)
		w.origin.Clusters = []OriginCluster{origin("staging-1", a.ID, r)}
	case 13:
		w.sight = Sight{Since: w.now}
		if rapid.Bool().Draw(w.t, "blind") {
			w.sight.Blind = "the event bus is away"
		}
	default:
		w.pass(rapid.IntRange(1, 300).Draw(w.t, "seconds"))
	}
}

func (w *world) happenTo(s *site) {
	switch rapid.IntRange(0, 7).Draw(w.t, "cluster") {
	case 0, 1, 2, 3:
		w.settle(s, true)
	case 4:
		w.settle(s, false)
	case 5:
		s.dark, s.heard = true, w.now
	case 6:
		s.dark = false
	}
}

func (w *world) leave() {
	if len(w.sites) > 1 {
		i := rapid.IntRange(0, len(w.sites)-1).Draw(w.t, "leaves")
		delete(w.git, w.sites[i].ID)
		w.sites = slices.Delete(w.sites, i, i+1)
	}
}

// meddle changes a pointer by hand, or edits its file.
func (w *world) meddle() {
	s := rapid.SampledFrom(w.sites).Draw(w.t, "meddled with")
	at := w.git[s.ID]
	switch rapid.IntRange(0, 3).Draw(w.t, "meddle") {
	case 0:
		w.take(s.ID)
		delete(w.git, s.ID)
	case 1:
		w.take(s.ID)
		w.git[s.ID] = pointing(w.built[0].ID, "payments/gone")
	case 2:
		at.State = Edited
		w.git[s.ID] = at
	case 3:
		if at.State == Edited {
			at.State = Ours
			w.git[s.ID] = at
		}
	}
}

// take notes whose pointer it is that somebody else changes.
func (w *world) take(id string) {
	for _, r := range w.releases {
		for _, t := range r.Status.Targets {
			if t.Cluster == id && wasMoved(t) && w.git[id].Release == named(r) {
				w.lives[r.Name].taken[id] = true
			}
		}
	}
}

func (w *world) some() *fleetv1.Release {
	if len(w.releases) == 0 {
		return nil
	}
	return rapid.SampledFrom(w.releases).Draw(w.t, "release")
}

// look is what the operator sees for a Release.
func (w *world) look(r *fleetv1.Release) Input {
	in := Input{AdmitInput: AdmitInput{Release: r.DeepCopy(), Environment: w.env.DeepCopy(), Policies: w.policies, Artifact: w.find(r.Spec.Artifact), Origin: w.origin, Now: w.now},
		Pointers: map[string]Pointer{}, Rollouts: map[string]Rollout{}, Checks: w.lives[r.Name].checks, Sight: w.sight}
	for _, other := range w.releases {
		in.Others = append(in.Others, *other)
	}
	for _, s := range w.sites {
		in.Clusters, in.Pointers[s.ID] = append(in.Clusters, s.Cluster), w.git[s.ID]
		var since time.Time
		for _, t := range r.Status.Targets {
			if t.Cluster == s.ID && t.MovedAt != nil {
				since = t.MovedAt.Time
			}
		}
		in.Rollouts[s.ID] = s.rollout(w.now, since)
	}
	return in
}

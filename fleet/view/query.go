package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// Clusters lists the clusters that the filter selects, ordered by id.
func (v *View) Clusters(now time.Time, f Filter) []rest.Cluster {
	out := []rest.Cluster{}
	v.each(now, f, func(c *cluster) {
		if item := c.rest(now, v.options.MissesUntilUnknown); f.cluster(item, c.objects) {
			out = append(out, item)
		}
	})
	return out
}

// Cluster is one cluster with everything on it. However much that is, the cluster's events wait
// for no more than a copy of it.
func (v *View) Cluster(now time.Time, id string) (out rest.ClusterDetail, ok bool) {
	c := v.find(id)
	if c == nil {
		return out, false
	}
	out, objects := c.detail(now, v.options.MissesUntilUnknown)
	for i := range objects {
		out.Inventory[i] = objects[i].rest(out.Freshness.Known)
	}
	return out, true
}

// detail is the cluster with an inventory that is still to be filled from objects.
func (c *cluster) detail(now time.Time, misses int) (out rest.ClusterDetail, objects objects) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out = rest.ClusterDetail{
		Cluster:   c.rest(now, misses),
		Inventory: make([]rest.Object, len(c.objects)),
		Open:      []rest.Episode{},
		Gaps:      c.allGaps(now),
	}
	for _, ep := range c.unresolved() {
		out.Open = append(out.Open, ep.rest(c, out.Freshness.Known))
	}
	return out, slices.Clone(c.objects)
}

// Gaps lists the gaps of a cluster: open ones, then the last few that were closed, newest first.
func (v *View) Gaps(now time.Time, id string) []rest.Gap {
	c := v.find(id)
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.allGaps(now)
}

// Episodes lists the episodes that the filter selects, the newest first.
func (v *View) Episodes(now time.Time, f Filter) []rest.Episode {
	out := []rest.Episode{}
	oldest := now.Add(-keepResolved)
	v.each(now, f, func(c *cluster) {
		known := c.known(now, v.options.MissesUntilUnknown)
		for _, ep := range append(c.unresolved(), c.resolved()...) {
			item := ep.rest(c, known)
			if f.episode(item) && (item.ResolvedAt.IsZero() || item.ResolvedAt.After(oldest)) {
				out = append(out, item)
			}
		}
	})
	slices.SortStableFunc(out, func(a, b rest.Episode) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.ID, b.ID))
	})
	return out
}

// Episode finds an episode by its id, or by the one that a later epoch gave it.
func (v *View) Episode(now time.Time, id string) (rest.Episode, bool) {
	for _, c := range v.all() {
		if ep, ok := c.episode(now, id, v.options.MissesUntilUnknown); ok {
			return ep, true
		}
	}
	return rest.Episode{}, false
}

// Agent is what the platform needs to know of a cluster's agent.
type Agent struct {
	Connected     bool // heartbeats arrive
	LastHeartbeat time.Time
	Version       string
	Snapshot      bool // its full state is in the view
	Missing       uint64
	Gaps          int  // that are open
	Diverged      bool // nothing is missing, and the agent's digest is another one
}

// Agent says how a cluster's agent is; false when nothing was ever heard of the cluster.
func (v *View) Agent(now time.Time, id string) (Agent, bool) {
	c := v.find(id)
	if c == nil {
		return Agent{}, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return Agent{
		Connected:     c.known(now, v.options.MissesUntilUnknown),
		LastHeartbeat: timeOf(c.heart.received),
		Version:       c.agentVersion(),
		Snapshot:      c.snapshot > 0,
		Missing:       c.missing(),
		Gaps:          len(c.openGaps(now)),
		Diverged:      c.diverged,
	}, true
}

// Incomplete lists the connected clusters that a snapshot would help: theirs was never complete,
// events that they say they sent do not come, or the digests differ.
func (v *View) Incomplete(now time.Time) []string {
	var out []string
	for _, c := range v.all() {
		c.mu.RLock()
		if c.known(now, v.options.MissesUntilUnknown) && c.incomplete(now) {
			out = append(out, c.id)
		}
		c.mu.RUnlock()
	}
	return out
}

func (c *cluster) incomplete(now time.Time) bool {
	return c.snapshot == 0 || c.diverged || c.gaps != nil && len(c.gaps.lost) > 0 || c.stalled(now)
}

// each calls fn for every cluster that the filter may select, ordered by id, under its lock.
func (v *View) each(now time.Time, f Filter, fn func(*cluster)) {
	for _, c := range v.all() {
		c.mu.RLock()
		if !c.stranger(now) && f.place(c) {
			fn(c)
		}
		c.mu.RUnlock()
	}
}

// stranger is a cluster that nobody registered and that was silent for long: what is left in the
// stream of one that was deregistered before the stream begins.
func (c *cluster) stranger(now time.Time) bool {
	last := max(c.heart.received, c.heard)
	return c.registration == nil && now.Sub(time.Unix(0, last)) > keepStranger
}

func (c *cluster) rest(now time.Time, misses int) rest.Cluster {
	known, s, where, about := c.known(now, misses), c.summary(), c.where(), c.about()
	light := c.judge(now, known, s)
	out := rest.Cluster{
		ID: c.id, Namespace: where.namespace, Environment: where.environment,
		Cloud: where.cloud, Region: where.region, Account: where.account,
		Status: light.status, Reason: light.reason, Message: light.message,
		Freshness:         c.freshness(now, known),
		KubernetesVersion: text(about.kubernetes), FluxVersion: text(about.flux), AgentVersion: c.agentVersion(),
		Revision:   s.revision,
		NodesReady: int(about.nodesReady), NodesTotal: int(about.nodesTotal),
		Objects: len(c.objects), Failing: s.failing, Episodes: s.episodes,
		Conditions: []rest.Condition{},
	}
	if c.registration != nil {
		out.Conditions = c.registration.rest()
	}
	return out
}

func (c *cluster) freshness(now time.Time, known bool) rest.Freshness {
	out := rest.Freshness{
		Known: known, LastHeartbeat: timeOf(c.heart.received), LastEvent: timeOf(c.heard), ClockSkew: c.heart.skew.Seconds(),
		Missing: c.missing(), Diverged: c.diverged, Verified: timeOf(c.verified), Digest: c.digest,
	}
	if gaps := c.openGaps(now); len(gaps) > 0 {
		out.Gaps, out.GapSince = len(gaps), timeOf(gaps[len(gaps)-1].opened)
	}
	return out
}

func (c *cluster) episode(now time.Time, id string, misses int) (rest.Episode, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if ep := c.open[id]; ep != nil {
		return ep.rest(c, c.known(now, misses)), true
	}
	for _, ep := range append(c.unresolved(), c.resolved()...) {
		if ep.id == id {
			return ep.rest(c, c.known(now, misses)), true
		}
	}
	return rest.Episode{}, false
}

// severity orders statuses for the worst of several: what fails before what nobody knows, since a
// failure calls for somebody now.
var severity = map[rest.Status]int{rest.Ready: 0, rest.Suspended: 1, rest.Progressing: 2, rest.Unknown: 3, rest.Degraded: 4}

func worse(a, b rest.Status) rest.Status {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

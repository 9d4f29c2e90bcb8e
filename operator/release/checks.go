package release

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/policy"
)

// Bounds of trying an artifact out.
const (
	checkTimeout = 30 * time.Second // of one cluster
	maxChecks    = 8                // that go on at the same time on one cluster; others wait
	turnTimeout  = 2 * time.Minute  // for which they do
	placeLife    = 5 * time.Minute  // how long a team's place on a cluster is believed to be there
	tryPatience  = 2 * time.Second  // how long a pass waits for the clusters; after that they go on without it
)

// checks remembers what clusters said to artifacts, until the releases are over: a cluster that is slow is asked once, and those that
// are not need not be asked again. It is safe for concurrent use.
type checks struct {
	mu       sync.Mutex
	releases map[types.NamespacedName]*checked
	slots    map[string]chan struct{} // by cluster
	places   map[place]time.Time      // when it was last seen to be there
}

// place is that of a team on a cluster.
type place struct{ cluster, team string }

// checked is what is known of the artifact of one release.
type checked struct {
	digest   string
	files    artifact.Files
	problem  *policy.Problem         // the artifact cannot be used anywhere
	clusters map[string]policy.Check // that have answered, or could not be asked
	pending  map[string]bool
}

func (c *checks) get(key types.NamespacedName) *checked {
	if c.releases == nil {
		c.releases = map[types.NamespacedName]*checked{}
	}
	if c.releases[key] == nil {
		c.releases[key] = &checked{clusters: map[string]policy.Check{}, pending: map[string]bool{}}
	}
	return c.releases[key]
}

// of are the clusters that have been asked for an artifact.
func (c *checks) of(key types.NamespacedName, a policy.Artifact) map[string]policy.Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.releases[key]
	if have == nil || have.digest != a.Digest {
		return nil
	}
	out := make(map[string]policy.Check, len(have.clusters))
	for id, check := range have.clusters {
		out[id] = check
	}
	return out
}

// begin says which of the clusters are to be asked now: not those that are being asked.
func (c *checks) begin(key types.NamespacedName, digest string, clusters []string) (ask []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.get(key)
	if have.digest != digest {
		files := have.files
		delete(c.releases, key)
		have = c.get(key)
		have.digest, have.files = digest, files
	}
	for _, id := range clusters {
		if !have.pending[id] {
			have.pending[id] = true
			ask = append(ask, id)
		}
	}
	return ask
}

// slot is held by who asks a cluster.
func (c *checks) slot(cluster string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil {
		c.slots = map[string]chan struct{}{}
	}
	if c.slots[cluster] == nil {
		c.slots[cluster] = make(chan struct{}, maxChecks)
	}
	return c.slots[cluster]
}

// placed says whether a team was seen to have its place on a cluster a moment ago.
func (c *checks) placed(at place, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.places[at]
	return ok && now.Sub(seen) < placeLife
}

func (c *checks) notePlace(at place, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places == nil {
		c.places = map[place]time.Time{}
	}
	c.places[at] = now
}

// end takes what a cluster said.
func (c *checks) end(key types.NamespacedName, digest, cluster string, said policy.Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.releases[key]
	if have == nil || have.digest != digest { // the release is over, or is of something else now
		return
	}
	if before := have.clusters[cluster]; said.Away != "" && before.Away != "" {
		said.Since = before.Since
	}
	have.clusters[cluster] = said
	delete(have.pending, cluster)
}

// spoil notes that the artifact cannot be used anywhere.
func (c *checks) spoil(key types.NamespacedName, problem *policy.Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.get(key).problem = problem
}

func (c *checks) problem(key types.NamespacedName) *policy.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.releases[key]; have != nil {
		return have.problem
	}
	return nil
}

func (c *checks) filesOf(key types.NamespacedName) artifact.Files {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.releases[key]; have != nil {
		return have.files
	}
	return nil
}

func (c *checks) keepFiles(key types.NamespacedName, files artifact.Files) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.get(key).files = files
}

func (c *checks) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.releases, key)
}

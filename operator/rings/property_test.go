package rings

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

// world is a fleet in which anything can happen to any cluster at any time.
type world struct {
	t        *rapid.T
	in       Input
	clusters []Cluster
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, in: Input{Target: before, Timeout: timeout, Now: now, MaxConcurrent: intstr.FromInt32(rapid.Int32Range(1, 3).Draw(t, "at the same time"))}}
	count := rapid.IntRange(1, 3).Draw(t, "rings")
	for i := range count {
		w.in.Rings = append(w.in.Rings, Ring{Name: fmt.Sprintf("ring-%d", i), Environments: []string{fmt.Sprint(i)}, Selector: labels.Everything(),
			Soak: time.Duration(rapid.IntRange(0, 5).Draw(t, "soak")) * time.Minute})
	}
	for i := range rapid.IntRange(1, 8).Draw(t, "clusters") {
		environment := fmt.Sprint(rapid.IntRange(0, count-1).Draw(t, "environment"))
		w.clusters = append(w.clusters, c(fmt.Sprintf("c%d", i), environment, before))
	}
	return w
}

// happen lets something happen to a cluster.
func (w *world) happen() {
	i := rapid.IntRange(0, len(w.clusters)-1).Draw(w.t, "to")
	c := &w.clusters[i]
	switch rapid.IntRange(0, 6).Draw(w.t, "what") {
	case 0, 1, 2: // it comes up
		if c.Away == "" && !c.Healthy {
			c.Healthy, c.Since, c.Trouble = true, w.in.Now, nil
		}
	case 3:
		c.Healthy, c.Since, c.Trouble = false, w.in.Now, &Trouble{Reason: "Broken", Since: w.in.Now}
	case 4:
		c.Away, c.Healthy, c.Since, c.Trouble = "silent", false, w.in.Now, &Trouble{Reason: "Silent", Since: w.in.Now}
	case 5:
		c.Away, c.Trouble = "", nil
	case 6:
		w.in.Now = w.in.Now.Add(time.Duration(rapid.IntRange(1, 8).Draw(w.t, "minutes")) * time.Minute)
	}
}

// act does what the decision says, on some of the clusters: others are slow.
func (w *world) act(d Decision) {
	for i := range w.clusters {
		c := &w.clusters[i]
		if failure, ok := d.Failed[c.ID]; ok {
			c.Failed = &failure
		}
		if c.Failed != nil && contains(d.Mended, c.ID) {
			c.Failed = nil
		}
		version := d.Words[c.ID].For(c.Tried, c.Installed)
		if version == c.Tried || c.Away != "" || rapid.IntRange(0, 3).Draw(w.t, "slow") == 0 {
			continue
		}
		if c.Tried == w.in.Target {
			w.t.Fatalf("%s is taken from %s back to %s", c.ID, c.Tried, version)
		}
		w.check(c)
		c.Installed, c.Tried, c.TriedAt, c.Since, c.Healthy, c.Trouble = version, version, w.in.Now, w.in.Now, false, nil
	}
}

func contains(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

// check looks whether a cluster may get the target now.
func (w *world) check(next *Cluster) {
	onTheWay := 0
	for _, other := range w.clusters {
		got := other.Tried == w.in.Target
		switch {
		case other.Failed != nil && other.Failed.Version == w.in.Target && (!got || !other.Healthy):
			w.t.Fatalf("%s goes on although %s failed: %+v", next.ID, other.ID, other.Failed)
		case got && other.Trouble != nil:
			w.t.Fatalf("%s goes on although %s has trouble: %+v", next.ID, other.ID, other.Trouble)
		case other.Environment == next.Environment && got && !other.Healthy:
			onTheWay++
		case other.Environment >= next.Environment || !got && other.Away != "":
		case !got || !other.Healthy:
			w.t.Fatalf("%s of ring %s goes on although %s of ring %s is not done: %+v", next.ID, next.Environment, other.ID, other.Environment, other)
		}
	}
	if onTheWay >= w.in.MaxConcurrent.IntValue() {
		w.t.Fatalf("%s is one too many: %d are on the way", next.ID, onTheWay)
	}
	for i, ring := range w.in.Rings {
		if fmt.Sprint(i) < next.Environment {
			w.soaked(next, fmt.Sprint(i), ring.Soak)
		}
	}
}

func (w *world) soaked(next *Cluster, environment string, soak time.Duration) {
	members, proven := 0, 0
	for _, other := range w.clusters {
		if other.Environment != environment {
			continue
		}
		members++
		if other.Tried == w.in.Target && other.Healthy {
			proven++
			if other.Since.Add(soak).After(w.in.Now) {
				w.t.Fatalf("%s goes on although %s has not soaked", next.ID, other.ID)
			}
		}
	}
	if members > 0 && proven == 0 {
		w.t.Fatalf("%s goes on although nothing in ring %s proves the version", next.ID, environment)
	}
}

// Whatever happens: no cluster gets the target before all of the rings before its own are healthy on it and
// have soaked, nor after one failed, nor too many at a time; and none is taken back and forth.
func TestNoClusterGoesBeforeItsTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for _, version := range []string{target, "v2.9.7"}[:rapid.IntRange(1, 2).Draw(t, "targets")] {
			w.in.Target = version
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				w.happen()
				w.in.Clusters = w.clusters
				w.act(Next(w.in))
			}
		}
	})
}

// A fleet on which everything comes up ends with every cluster on the target.
func TestAnUpgradeThatWorksEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.in.Target = target
		for range 100 {
			w.in.Clusters = w.clusters
			d := Next(w.in)
			if d.State == UpToDate {
				if d.Counts.Upgraded != len(w.clusters) {
					t.Fatalf("it ends with %+v", d.Counts)
				}
				return
			}
			if d.After == 0 {
				t.Fatalf("nobody would look again: %+v", d)
			}
			w.act(d)
			w.in.Now = w.in.Now.Add(d.After)
			for i := range w.clusters {
				if c := &w.clusters[i]; !c.Healthy {
					c.Healthy, c.Since = true, w.in.Now
				}
			}
		}
		t.Fatalf("it does not end: %+v", Next(w.in))
	})
}

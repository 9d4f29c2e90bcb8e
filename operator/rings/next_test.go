package rings

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	before, target = "v2.9.5", "v2.9.6"
	timeout        = 10 * time.Minute
)

var now = time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)

// c makes clusters that are healthy on a version since an hour ago.
func c(id, environment, version string, changes ...func(*Cluster)) Cluster {
	at := now.Add(-time.Hour)
	out := Cluster{ID: id, Environment: environment, Installed: version, Tried: version, TriedAt: at, Healthy: true, Since: at}
	for _, change := range changes {
		change(&out)
	}
	return out
}

// got the version a while ago, and is not healthy yet.
func got(ago time.Duration) func(*Cluster) {
	return func(c *Cluster) {
		c.TriedAt, c.Since, c.Healthy = now.Add(-ago), now.Add(-ago), false
		c.Lacks = Trouble{Reason: "RollingOut", Message: "not ready yet"}
	}
}

func healthySince(ago time.Duration) func(*Cluster) {
	return func(c *Cluster) { c.TriedAt, c.Since = now.Add(-ago-time.Minute), now.Add(-ago) }
}

func crashes(ago time.Duration) func(*Cluster) {
	return func(c *Cluster) {
		c.Healthy, c.Trouble = false, &Trouble{Reason: "CrashLoopBackOff", Message: "it ends with code 2", Since: now.Add(-ago)}
	}
}

func failedOn(version string) func(*Cluster) {
	return func(c *Cluster) {
		c.Failed = &Failure{Version: version, Trouble: Trouble{Reason: "CrashLoopBackOff", Message: "it ended with code 2", Since: now.Add(-time.Hour)}}
	}
}

func silent(c *Cluster) { c.Away, c.Healthy = "no heartbeat", false }
func pinned(c *Cluster) { c.LeftOut = "pinned to " + before }
func first(c *Cluster)  { c.Joined = true }
func none(c *Cluster)   { *c = Cluster{ID: c.ID, Environment: c.Environment} }

func canaryThenRest() []Ring {
	return []Ring{
		{Name: "canary", Environments: []string{"dev"}, Selector: labels.Everything(), Soak: 10 * time.Minute},
		{Name: "rest", Selector: labels.Everything()},
	}
}

func input(clusters ...Cluster) Input {
	return Input{Target: target, Rings: canaryThenRest(), MaxConcurrent: intstr.FromInt32(2), Timeout: timeout, Clusters: clusters, Now: now}
}

// brief is what a table compares of a decision.
type brief struct {
	State State
	Ring  string
	Have  string // the clusters that may have the target, joined
	Halt  string // cluster: reason
	After time.Duration
}

func shorten(in Input, d Decision) brief {
	out := brief{State: d.State, Ring: d.Ring, After: d.After}
	for _, m := range members(in) {
		if d.Words[m.ID].Version == in.Target {
			out.Have += m.ID + " "
		}
	}
	if d.Halt != nil {
		out.Halt = d.Halt.Cluster + ": " + d.Halt.Reason
	}
	return out
}

func TestNext(t *testing.T) {
	crashed := "dev-1: CrashLoopBackOff"
	for name, tc := range map[string]struct {
		clusters []Cluster
		change   func(*Input)
		want     brief
	}{
		"a fleet on the target has nothing left to do": {
			clusters: []Cluster{c("dev-1", "dev", target), c("prod-1", "prod", target)},
			want:     brief{State: UpToDate, Have: "dev-1 prod-1 "}},
		"the first ring begins, with as many as may at the same time": {
			clusters: []Cluster{c("dev-1", "dev", before), c("dev-2", "dev", before), c("dev-3", "dev", before), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 dev-2 ", After: poll}},
		"who is on the way takes a place": {
			clusters: []Cluster{c("dev-1", "dev", before), c("dev-2", "dev", before), c("dev-3", "dev", target, got(time.Minute))},
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 dev-3 ", After: poll}},
		"a percentage of a small ring is one cluster": {
			clusters: []Cluster{c("dev-1", "dev", before), c("dev-2", "dev", before)},
			change:   func(in *Input) { in.MaxConcurrent = intstr.FromString("25%") },
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 ", After: poll}},
		"a soak asks to be woken when it ends": {
			clusters: []Cluster{c("dev-1", "dev", target, healthySince(4*time.Minute)), c("dev-2", "dev", target), c("prod-1", "prod", before)},
			want:     brief{State: Soaking, Ring: "canary", Have: "dev-1 dev-2 ", After: 6 * time.Minute}},
		"a soak that nobody waits for is no soak": {
			clusters: []Cluster{c("dev-1", "dev", target, healthySince(time.Minute)), c("prod-1", "prod", target)},
			want:     brief{State: UpToDate, Have: "dev-1 prod-1 "}},
		"after the soak the next ring begins": {
			clusters: []Cluster{c("dev-1", "dev", target, healthySince(10*time.Minute)), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "dev-1 prod-1 ", After: poll}},
		"who joined meanwhile makes nobody soak anew": {
			clusters: []Cluster{c("dev-1", "dev", target), c("dev-2", "dev", target, healthySince(time.Minute), first), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "dev-1 dev-2 prod-1 ", After: poll}},
		"a failure halts, and who has the target keeps it": {
			clusters: []Cluster{c("dev-1", "dev", target, got(time.Minute), crashes(time.Second)), c("dev-2", "dev", target), c("dev-3", "dev", before), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "canary", Have: "dev-1 dev-2 ", Halt: crashed, After: pollHalt}},
		"so does a failure during the soak": {
			clusters: []Cluster{c("dev-1", "dev", target, healthySince(5*time.Minute), crashes(time.Second)), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "canary", Have: "dev-1 ", Halt: crashed, After: pollHalt}},
		"who is not healthy in time has failed": {
			clusters: []Cluster{c("dev-1", "dev", target, got(timeout)), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "canary", Have: "dev-1 ", Halt: "dev-1: RollingOut", After: pollHalt}},
		"the last cluster halts as well": {
			clusters: []Cluster{c("dev-1", "dev", target), c("prod-1", "prod", target, got(timeout))},
			want:     brief{State: Halted, Ring: "rest", Have: "dev-1 prod-1 ", Halt: "prod-1: RollingOut", After: pollHalt}},
		"what fails long after is not the upgrade's doing": {
			clusters: []Cluster{c("dev-1", "dev", target, crashes(time.Minute)), c("prod-1", "prod", target)},
			want:     brief{State: UpToDate, Have: "dev-1 prod-1 "}},
		"but while others wait it holds them": {
			clusters: []Cluster{c("dev-1", "dev", target, crashes(time.Minute)), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "canary", Have: "dev-1 ", Halt: crashed, After: pollHalt}},
		"a failure is remembered after the cluster was rolled back": {
			clusters: []Cluster{c("dev-1", "dev", before, pinned, failedOn(target)), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "rest", Halt: crashed, After: pollHalt}},
		"also when it is no longer pinned": {
			clusters: []Cluster{c("dev-1", "dev", before, failedOn(target)), c("prod-1", "prod", before)},
			want:     brief{State: Halted, Ring: "canary", Halt: crashed, After: pollHalt}},
		"another target is tried all the same": {
			clusters: []Cluster{c("dev-1", "dev", before, failedOn("v2.9.4")), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 ", After: poll}},
		"a cluster that has got over its failure halts nothing": {
			clusters: []Cluster{c("dev-1", "dev", target, failedOn(target)), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "dev-1 prod-1 ", After: poll}},
		"a pinned cluster is left out": {
			clusters: []Cluster{c("dev-1", "dev", before, pinned), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "prod-1 ", After: poll}},
		"a cluster that was silent before is skipped": {
			clusters: []Cluster{c("dev-1", "dev", before, silent), c("dev-2", "dev", target), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "dev-2 prod-1 ", After: poll}},
		"and has its turn before later rings when it is back": {
			clusters: []Cluster{c("dev-1", "dev", before), c("dev-2", "dev", target), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 dev-2 ", After: poll}},
		"a ring that is silent as a whole proves nothing": {
			clusters: []Cluster{c("dev-1", "dev", before, silent), c("prod-1", "prod", before)},
			want:     brief{State: Silent, Ring: "canary"}},
		"a new cluster gets the target": {
			clusters: []Cluster{c("dev-1", "dev", before), c("prod-1", "prod", "", none)},
			want:     brief{State: Upgrading, Ring: "canary", Have: "dev-1 prod-1 ", After: poll}},
		"one that comes up with it stops nobody": {
			clusters: []Cluster{c("dev-1", "dev", target, first, got(time.Hour), crashes(time.Hour)), c("prod-1", "prod", before)},
			want:     brief{State: Upgrading, Ring: "rest", Have: "dev-1 prod-1 ", After: poll}},
		"while nothing can be seen, nothing goes on and nobody is blamed": {
			clusters: []Cluster{c("dev-1", "dev", target, got(time.Hour)), c("dev-2", "dev", before), c("prod-1", "prod", "", none)},
			change:   func(in *Input) { in.Blind = "the bus does not answer" },
			want:     brief{State: Unknown, Have: "dev-1 prod-1 "}},
		"of clusters whose status was lost, those that run the target have it": {
			clusters: []Cluster{
				{ID: "dev-1", Environment: "dev", Installed: target}, {ID: "dev-2", Environment: "dev", Installed: before}},
			want: brief{State: Upgrading, Ring: "canary", Have: "dev-1 dev-2 ", After: poll}},
		"without a target everyone keeps what there is": {
			clusters: []Cluster{c("dev-1", "dev", before)},
			change:   func(in *Input) { in.Target = "" },
			want:     brief{State: Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(tc.clusters...)
			if tc.change != nil {
				tc.change(&in)
			}
			if diff := cmp.Diff(tc.want, shorten(in, Next(in))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestNextInFull(t *testing.T) {
	for name, tc := range map[string]struct {
		in   Input
		want Decision
	}{
		"everybody is told what it waits for": {
			input(c("dev-1", "dev", before), c("dev-2", "dev", before, silent), c("prod-1", "prod", before), c("prod-2", "prod", before, pinned)),
			Decision{State: Upgrading, Ring: "canary", Counts: Counts{Waiting: 2, Skipped: 1, LeftOut: 1}, Skipped: []string{"dev-2 (no heartbeat)"},
				Failed: map[string]Failure{}, After: poll, Words: map[string]Word{
					"dev-1":  {Target: target, Version: target},
					"dev-2":  {Target: target, Version: before, Note: "v2.9.6 waits until the cluster can be seen: no heartbeat"},
					"prod-1": {Target: target, Version: before, Note: "v2.9.6 waits for ring canary"},
					"prod-2": {Target: target, Version: before},
				}}},
		"a failure is to be remembered, and a new cluster gets what is proven": {
			input(c("dev-1", "dev", target, got(time.Minute), crashes(time.Second)), c("prod-1", "prod", "v2.9.4"), c("prod-2", "prod", before), c("prod-3", "prod", "", none)),
			Decision{State: Halted, Ring: "canary", Counts: Counts{Failed: 1, Waiting: 2, Upgrading: 1},
				Halt:   &Halt{"dev-1", Trouble{"CrashLoopBackOff", "it ends with code 2", now.Add(-time.Second)}},
				Failed: map[string]Failure{"dev-1": {target, Trouble{"CrashLoopBackOff", "it ends with code 2", now.Add(-time.Second)}}},
				After:  pollHalt, Words: map[string]Word{
					"dev-1":  {Target: target, Version: target},
					"prod-1": {Target: target, Version: "v2.9.4", Note: "v2.9.6 is halted: it failed on dev-1"},
					"prod-2": {Target: target, Version: before, Note: "v2.9.6 is halted: it failed on dev-1"},
					"prod-3": {Target: target, Version: before, First: true, Note: "v2.9.6 is halted: it failed on dev-1"},
				}}},
		"a failure that is over is to be forgotten": {
			input(c("dev-1", "dev", target, failedOn(before))),
			Decision{State: UpToDate, Counts: Counts{Upgraded: 1}, Mended: []string{"dev-1"}, Failed: map[string]Failure{},
				Words: map[string]Word{"dev-1": {Target: target, Version: target}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Next(tc.in)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestWordFor(t *testing.T) {
	for name, tc := range map[string]struct {
		word             Word
		tried, installed string
		want             string
	}{
		"a new cluster gets what the word says":                       {Word{Target: target, Version: target, First: true}, "", "", target},
		"without a word it gets the newest":                           {Word{}, "", "", ""},
		"a Flux that nothing is known of stays until it was seen":     {Word{Target: target, Version: target}, "", before, before},
		"a cluster gets what it may have":                             {Word{Target: target, Version: target}, before, before, target},
		"a word for a cluster without Flux takes none to the target":  {Word{Target: target, Version: target, First: true}, before, before, before},
		"or keeps what it has":                                        {Word{Target: target, Version: before}, before, before, before},
		"without a word a cluster keeps what it has":                  {Word{}, before, before, before},
		"what has the target is not taken back by an older decision":  {Word{Target: target, Version: before}, target, before, target},
		"what was tried and then taken off by somebody is put back":   {Word{Target: target, Version: before}, before, "", before},
		"a target that is older than what there is takes things back": {Word{Target: before, Version: before}, target, target, before},
	} {
		t.Run(name, func(t *testing.T) {
			if have := tc.word.For(tc.tried, tc.installed); have != tc.want {
				t.Errorf("have %q, want %q", have, tc.want)
			}
		})
	}
}

// BenchmarkNext is a decision over a thousand clusters in three rings, halfway.
func BenchmarkNext(b *testing.B) {
	in := input()
	in.Rings = append([]Ring{{Name: "first", Environments: []string{"first"}, Selector: labels.Everything()}}, in.Rings...)
	for i := range 1000 {
		version, environment := before, "prod"
		if i%3 == 0 {
			version, environment = target, "dev"
		}
		in.Clusters = append(in.Clusters, c(fmt.Sprintf("c%d", i), environment, version))
	}
	for b.Loop() {
		if d := Next(in); d.State != Upgrading {
			b.Fatalf("%+v", d.State)
		}
	}
}

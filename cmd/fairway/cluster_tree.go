package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

const formatTree format = "tree"

// clusterTree shows a cluster: where it is, how fresh the rest is, the steps of its onboarding, and
// its objects below the Flux objects that applied them. What is wrong is open; what is fine, and all
// below it is fine, is counted by kind. With all, everything is open.
func clusterTree(d rest.ClusterDetail, now time.Time, all bool) node {
	root := node{
		glyph: glyph(d.Status), look: statusLook(d.Status), title: d.ID + " " + string(d.Status),
		text: sentence(": ", d.Reason, d.Message),
	}
	place := sentence(" ", d.Cloud, d.Region)
	if d.Account != "" {
		place = sentence(", ", place, "account "+d.Account)
	}
	environment := ""
	if d.Environment != "" {
		environment = "environment " + d.Environment
	}
	if where := sentence(", ", environment, place); where != "" {
		root.children = append(root.children, node{text: where})
	}
	root.children = append(root.children, heardNode(d.Cluster, now))
	root.children = append(root.children, gapNodes(d.Gaps, now, all)...)
	root.children = append(root.children, stepNodes(d.Conditions, now, all)...)
	f := newForest(d, now, all)
	root.children = append(root.children, f.nodes(f.roots())...)
	root.children = append(root.children, f.strayEpisodes()...)
	return root
}

func heardNode(c rest.Cluster, now time.Time) node {
	n := node{glyph: "✔", look: good, title: "heard " + ago(now, c.Freshness.LastHeartbeat)}
	if c.Freshness.LastHeartbeat.IsZero() {
		n.title = "never heard"
	}
	if problem := freshness(now, c.Freshness); problem != "" {
		n.glyph, n.look = "⚠", warn
		n.details = append(n.details, problem)
		if !c.Freshness.Known {
			n.details = []string{sentence(", ", staleness(now, c.Freshness), "nobody knows how it is now")}
		}
	}
	verified := ""
	if !c.Freshness.Verified.IsZero() {
		verified = "verified " + ago(now, c.Freshness.Verified)
	}
	n.text = sentence(", ", verified, clusterFacts(c.KubernetesVersion, c.FluxVersion, c.AgentVersion, c.NodesReady, c.NodesTotal))
	return n
}

// gapNodes opens the gaps that are open and counts those that are over.
func gapNodes(gaps []rest.Gap, now time.Time, all bool) []node {
	var out []node
	var over []rest.Gap
	for _, g := range gaps {
		switch {
		case g.Closed.IsZero():
			out = append(out, node{glyph: "⚠", look: warn, title: "gap since " + age(now, g.Opened), text: lackText(g)})
		case all:
			out = append(out, node{glyph: "✔", look: good, title: "gap of " + age(g.Closed, g.Opened), text: sentence(", ", lackText(g),
				"closed "+ago(now, g.Closed)+" by "+string(g.ClosedBy))})
		default:
			over = append(over, g)
		}
	}
	if len(over) > 0 {
		out = append(out, node{glyph: "✔", look: good, title: count(len(over), "gap") + " closed", text: "the last " + ago(now, over[0].Closed)})
	}
	return out
}

// lackText says what is not known, and why.
func lackText(g rest.Gap) string {
	switch events := count(int(g.Events), "event"); g.Reason {
	case rest.GapDropped:
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(g.Dropped)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", g.Dropped[kind], kind))
		}
		return sentence(": ", sentence(" ", "the agent dropped", events), sentence(", ", strings.Join(kinds, ", "), g.Message))
	case rest.GapEpoch:
		return "the agent lost its outbox: what happened meanwhile is not known"
	default:
		return events + " did not arrive"
	}
}

// stepNodes folds the conditions that hold into one line and opens the others. Ready, Reconciling
// and Stalled only sum up the rest.
func stepNodes(conditions []rest.Condition, now time.Time, all bool) []node {
	var held []string
	var open []node
	for _, c := range conditions {
		switch {
		case c.Type == "Ready" || c.Type == "Reconciling" || c.Type == "Stalled":
		case c.Status == "True" && !all:
			held = append(held, c.Type)
		default:
			open = append(open, conditionNode(c, now))
		}
	}
	if len(held) == 0 {
		return open
	}
	folded := node{glyph: "✔", look: good, title: count(len(held), "step") + " done", text: strings.Join(held, ", ")}
	return append([]node{folded}, open...)
}

func conditionNode(c rest.Condition, now time.Time) node {
	n := node{glyph: "✗", look: bad, title: c.Type, text: sentence("  ", c.Reason, age(now, c.Since))}
	switch c.Status {
	case "True":
		n.glyph, n.look = "✔", good
	case "Unknown":
		n.glyph, n.look = "◐", warn
	}
	if c.Message != "" {
		n.details = []string{c.Message}
	}
	return n
}

// forest is a cluster's objects by the object that applied them.
type forest struct {
	now      time.Time
	asOf     time.Time // of the last heartbeat; zero while the cluster is known
	all      bool
	objects  map[string]rest.Object
	children map[string][]string // by owner, in the order of the inventory
	episodes map[string][]rest.Episode
	shown    map[string]bool // so that a circle of owners ends
	order    []string
}

func newForest(d rest.ClusterDetail, now time.Time, all bool) *forest {
	f := &forest{
		now: now, all: all, objects: map[string]rest.Object{}, children: map[string][]string{},
		episodes: map[string][]rest.Episode{}, shown: map[string]bool{},
	}
	if !d.Freshness.Known {
		f.asOf = d.Freshness.LastHeartbeat
	}
	for _, o := range d.Inventory {
		f.objects[o.Object] = o
		f.order = append(f.order, o.Object)
	}
	for _, o := range d.Inventory {
		if _, there := f.objects[o.Owner]; there {
			f.children[o.Owner] = append(f.children[o.Owner], o.Object)
		}
	}
	for _, e := range d.Open {
		f.episodes[e.Object] = append(f.episodes[e.Object], e)
	}
	return f
}

// roots are the objects that no object of the cluster applied, and one of every circle of owners.
func (f *forest) roots() []string {
	var out []string
	reached := map[string]bool{}
	var reach func(id string)
	reach = func(id string) {
		if reached[id] {
			return
		}
		reached[id] = true
		for _, child := range f.children[id] {
			reach(child)
		}
	}
	add := func(id string) { out = append(out, id); reach(id) }
	for _, id := range f.order {
		if _, owned := f.objects[f.objects[id].Owner]; !owned {
			add(id)
		}
	}
	for _, id := range f.order {
		if !reached[id] {
			add(id)
		}
	}
	return out
}

// nodes opens what has a problem, the worst first, and folds the rest by kind and state.
func (f *forest) nodes(ids []string) []node {
	type fold struct{ kind, state string }
	var open []string
	folded := map[fold][]string{}
	var folds []fold
	for _, id := range ids {
		if f.shown[id] {
			continue
		}
		f.shown[id] = true
		if f.all || f.wrong(id, map[string]bool{}) {
			open = append(open, id)
			continue
		}
		key := fold{kind(id), f.objects[id].State}
		if _, there := folded[key]; !there {
			folds = append(folds, key)
		}
		folded[key] = append(folded[key], id)
	}
	slices.SortStableFunc(open, func(a, b string) int {
		return cmp.Compare(severity(f.objects[a].Status), severity(f.objects[b].Status))
	})
	var out []node
	for _, id := range open {
		out = append(out, f.open(id))
	}
	for _, key := range folds {
		out = append(out, f.folded(folded[key]))
	}
	return out
}

// wrong says whether an object, or one below it, is anything but fine.
func (f *forest) wrong(id string, seen map[string]bool) bool {
	if seen[id] {
		return false
	}
	seen[id] = true
	if len(f.episodes[id]) > 0 || !f.fine(f.objects[id]) {
		return true
	}
	return slices.ContainsFunc(f.children[id], func(child string) bool { return f.wrong(child, seen) })
}

// fine is Ready, or on a silent cluster: was Ready when it was last heard.
func (f *forest) fine(o rest.Object) bool {
	if o.Status == rest.Unknown {
		return o.State == event.FluxSucceeded.What() || o.State == event.WorkloadAvailable.What()
	}
	return o.Status == rest.Ready
}

func (f *forest) open(id string) node {
	o := f.objects[id]
	n := node{
		glyph: glyph(o.Status), look: statusLook(o.Status), title: o.Object,
		text: sentence("  ", f.state(o), replicas(o), o.Reason, age(f.now, o.Since), shortRevision(o.Revision)),
	}
	if f.fine(o) {
		n.text = sentence("  ", f.state(o), replicas(o), shortRevision(o.Revision))
	} else if o.Message != "" {
		n.details = append(n.details, head(o.Message, 3))
	}
	for _, e := range f.episodes[id] {
		n.details = append(n.details, episodeLines(e, f.now)...)
	}
	n.children = f.nodes(f.children[id])
	return n
}

func (f *forest) folded(ids []string) node {
	first := f.objects[ids[0]]
	n := node{
		glyph: glyph(first.Status), look: statusLook(first.Status), title: count(len(ids), kind(ids[0])) + " " + f.state(first),
	}
	if len(ids) == 1 {
		n.title, n.text = ids[0], sentence("  ", f.state(first), replicas(first), shortRevision(first.Revision))
	}
	below := 0
	for _, id := range ids {
		below += f.count(id)
	}
	if below > 0 {
		n.text = sentence("  ", n.text, "with "+count(below, "object")+" below, all fine")
	}
	return n
}

// count is how many objects are below one, and marks them as shown.
func (f *forest) count(id string) int {
	n := 0
	for _, child := range f.children[id] {
		if !f.shown[child] {
			f.shown[child] = true
			n += 1 + f.count(child)
		}
	}
	return n
}

// state is the object's own word; on a silent cluster, what it was and when.
func (f *forest) state(o rest.Object) string {
	switch {
	case o.Status != rest.Unknown:
		return o.State
	case f.asOf.IsZero():
		return "unknown, was " + o.State
	}
	return "unknown, was " + o.State + " as of " + ago(f.now, f.asOf)
}

// strayEpisodes are those of objects that are not in the inventory.
func (f *forest) strayEpisodes() []node {
	var out []node
	var ids []string
	for id := range f.episodes {
		if _, there := f.objects[id]; !there {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := node{glyph: "✗", look: bad, title: id}
		for _, e := range f.episodes[id] {
			n.details = append(n.details, episodeLines(e, f.now)...)
		}
		out = append(out, n)
	}
	return out
}

func severity(s rest.Status) int {
	return slices.Index([]rest.Status{rest.Degraded, rest.Unknown, rest.Progressing, rest.Suspended, rest.Ready}, s)
}

func kind(object string) string {
	k, _, _ := strings.Cut(object, "/")
	return k
}

func replicas(o rest.Object) string {
	if o.Desired == 0 && o.Ready == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d ready", o.Ready, o.Desired)
}

// head is the first n lines of a text.
func head(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = append(lines[:n], fmt.Sprintf("… %s more", count(len(lines)-n, "line")))
	}
	return strings.Join(lines, "\n")
}

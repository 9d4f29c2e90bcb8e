package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// sight is what the platform and the hub say of a service.
type sight struct {
	service  serviceID
	releases []fleetv1.Release     // newest first
	order    []fleetv1.Environment // in the order of promotion; none: they may not be listed
	only     []string              // environments that were asked for; none: all
	running  *rest.Service         // nil: the hub knows nothing of it, or cannot be asked
}

// serviceState is what -o json prints.
type serviceState struct {
	Team         string             `json:"team"`
	Service      string             `json:"service"`
	RunningKnown bool               `json:"runningKnown"` // false: the hub could not be asked
	Environments []environmentState `json:"environments"`
}

// environmentState is a service in an environment.
type environmentState struct {
	Name     string         `json:"name"`
	Release  *releaseState  `json:"release,omitempty"` // the newest one
	Clusters []clusterState `json:"clusters"`
}

// releaseState is a Release in short.
type releaseState struct {
	Name        string         `json:"name"`
	Phase       fleetv1.Phase  `json:"phase"`
	Artifact    string         `json:"artifact"`
	Intent      fleetv1.Intent `json:"intent"`
	RequestedBy string         `json:"requestedBy"`
	Created     time.Time      `json:"created"`
	Message     string         `json:"message,omitempty"` // why it has not succeeded, or not yet
}

// clusterState is a service on a cluster. Status is Unknown, and running and ready say nothing, where the
// cluster is silent or the hub cannot be asked.
type clusterState struct {
	Cluster  string      `json:"cluster"`
	Cloud    string      `json:"cloud,omitempty"`
	Desired  string      `json:"desired,omitempty"` // artifact that it was last told to run
	Running  string      `json:"running,omitempty"` // artifact that all workloads carry
	Status   rest.Status `json:"status,omitempty"`  // empty: it runs nothing of the service
	Reason   string      `json:"reason,omitempty"`
	Replicas *int32      `json:"replicas,omitempty"` // left out where they are not known
	Ready    *int32      `json:"ready,omitempty"`
	Since    time.Time   `json:"since,omitzero"`
	AsOf     time.Time   `json:"asOf,omitzero"` // of a silent cluster: when it was heard last
}

// environments are those that say something of the service, in the order of promotion.
func (s *sight) environments() []string {
	has := map[string]bool{}
	for _, r := range s.releases {
		has[r.Spec.Environment] = true
	}
	if s.running != nil {
		for _, c := range s.running.Clusters {
			has[c.Environment] = true
		}
	}
	var out []string
	for _, e := range s.order {
		if has[e.Name] {
			out = append(out, e.Name)
			delete(has, e.Name)
		}
	}
	out = append(out, slices.Sorted(maps.Keys(has))...)
	return slices.DeleteFunc(out, func(name string) bool { return len(s.only) > 0 && !slices.Contains(s.only, name) })
}

// newest is the newest Release to an environment, nil for none.
func (s *sight) newest(environment string) *fleetv1.Release {
	i := slices.IndexFunc(s.releases, func(r fleetv1.Release) bool { return r.Spec.Environment == environment })
	if i < 0 {
		return nil
	}
	return &s.releases[i]
}

// state joins both sides. known says whether the hub was asked.
func (s *sight) state(known bool) serviceState {
	out := serviceState{Team: s.service.team, Service: s.service.name, RunningKnown: known, Environments: []environmentState{}}
	for _, name := range s.environments() {
		e := environmentState{Name: name, Clusters: s.clusters(name, known)}
		if r := s.newest(name); r != nil {
			e.Release = &releaseState{Name: releaseName(r), Phase: phase(r), Artifact: r.Spec.Artifact, Intent: r.Spec.Intent,
				RequestedBy: r.Spec.RequestedBy, Created: r.CreationTimestamp.UTC(), Message: because(r)}
		}
		out.Environments = append(out.Environments, e)
	}
	return out
}

// clusters are those of an environment that are to run the service, or do.
func (s *sight) clusters(environment string, known bool) []clusterState {
	desired := told(s.releases, environment)
	out := map[string]clusterState{}
	for _, cluster := range s.members(environment, desired) {
		c := clusterState{Cluster: cluster, Desired: desired[cluster]}
		if !known {
			c.Status = rest.Unknown
		}
		out[cluster] = c
	}
	if s.running != nil {
		for _, on := range s.running.Clusters {
			if on.Environment == environment {
				out[on.Cluster] = runningState(on, desired[on.Cluster])
			}
		}
	}
	list := slices.Collect(maps.Values(out))
	slices.SortFunc(list, func(a, b clusterState) int { return cmp.Compare(a.Cluster, b.Cluster) })
	if list == nil {
		list = []clusterState{}
	}
	return list
}

// members are the clusters that were told to run the service, and those of the Environment that were not yet.
func (s *sight) members(environment string, desired map[string]string) []string {
	out := slices.Collect(maps.Keys(desired))
	for _, e := range s.order {
		if e.Name == environment && s.newest(environment) != nil {
			for _, c := range e.Status.Clusters {
				out = append(out, c.ID)
			}
		}
	}
	return unique(out)
}

func runningState(on rest.ServiceCluster, desired string) clusterState {
	c := clusterState{Cluster: on.Cluster, Cloud: on.Cloud, Desired: desired, Status: on.Status, Reason: on.Reason}
	if on.Status == rest.Unknown {
		c.AsOf = on.AsOf.UTC()
		return c
	}
	c.Running, c.Replicas, c.Ready, c.Since = on.Artifact, &on.Desired, &on.Ready, on.Since.UTC()
	return c
}

func statusDocument(sh *shell, s serviceState) document {
	d := document{body: s, names: []string{"service/" + s.Team + "/" + s.Service}, table: table{columns: []column{
		{title: "ENV"}, {title: "CLUSTER"}, {title: "CLOUD", wide: true}, {title: "DESIRED"}, {title: "RUNNING"}, {title: "READY"}, {title: "STATUS"},
		{title: "SINCE"}, {title: "RELEASE"}, {title: "PHASE"}, {title: "ASKED BY", wide: true}, {title: "REASON", most: 60},
	}}}
	for _, e := range s.Environments {
		clusters := e.Clusters
		if len(clusters) == 0 {
			clusters = []clusterState{{}}
		}
		for i, c := range clusters {
			why := c.Reason
			if i == 0 && e.Release != nil {
				why = sentence("; ", e.Release.Message, c.Reason)
			}
			d.table.rows = append(d.table.rows, stateRow(sh, e, c, why))
		}
	}
	return d
}

func stateRow(sh *shell, e environmentState, c clusterState, why string) row {
	r := releaseState{}
	if e.Release != nil {
		r = *e.Release
	}
	running, ready, since := text(c.Running), "", clock(age(sh.now(), c.Since))
	switch {
	case c.Status == rest.Unknown:
		running, ready = cell{text: "unknown", look: warn}, "?"
		if !c.AsOf.IsZero() {
			since = clock("heard " + ago(sh.now(), c.AsOf))
		}
	case c.Status != "":
		ready = fmt.Sprintf("%d/%d", *c.Ready, *c.Replicas)
		if c.Running != c.Desired {
			running.look = warn
		}
	}
	return row{key: e.Name + " " + c.Cluster, cells: []cell{
		text(e.Name), text(c.Cluster), text(c.Cloud), text(c.Desired), running, text(ready), {text: string(c.Status), look: statusLook(c.Status)},
		since, text(r.Name), {text: string(r.Phase), look: phaseLook(r.Phase)}, text(r.RequestedBy), text(why),
	}}
}

package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// serviceName identifies a service.
type serviceName struct{ team, service string }

// tally is a service as it is found, cluster by cluster.
type tally struct {
	rest.Service
	open []rest.Episode // of clusters that are known
}

// Services lists the services that the filter selects, ordered by team and name. Of a service only the
// clusters that the filter selects are shown; what is said of an environment is of all its clusters.
func (v *View) Services(now time.Time, f Filter) []rest.Service {
	out := []rest.Service{}
	for _, s := range v.gather(now, f) {
		v.book.compare(&s.Service, s.open)
		s.Clusters = slices.DeleteFunc(s.Clusters, func(on rest.ServiceCluster) bool { return !is(f.Cluster, on.Cluster) || !isFold(f.Cloud, on.Cloud) })
		shown := map[string]bool{}
		for _, on := range s.Clusters {
			s.Status = worse(s.Status, on.Status)
			shown[on.Environment] = true
		}
		s.Environments = slices.DeleteFunc(s.Environments, func(e rest.ServiceEnvironment) bool { return !shown[e.Environment] })
		if len(s.Clusters) > 0 && f.service(s.Service) {
			out = append(out, s.Service)
		}
	}
	slices.SortFunc(out, func(a, b rest.Service) int {
		return cmp.Or(strings.Compare(a.Team, b.Team), strings.Compare(a.Name, b.Name))
	})
	return out
}

// gather finds the services on all clusters of the environments that the filter selects.
func (v *View) gather(now time.Time, f Filter) map[serviceName]*tally {
	f.Cluster, f.Cloud = "", ""
	out := map[serviceName]*tally{}
	v.each(now, f, func(c *cluster) {
		known := c.known(now, v.options.MissesUntilUnknown)
		for of, on := range c.services(f, known) {
			if out[of] == nil {
				out[of] = &tally{Service: rest.Service{Team: of.team, Name: of.service, Status: rest.Ready}}
			}
			out[of].Clusters = append(out[of].Clusters, *on)
		}
		if !known {
			return
		}
		for _, ep := range c.unresolved() {
			from := ep.from.Value()
			if s := out[serviceName{from.team, from.service}]; s != nil {
				s.open = append(s.open, ep.rest(c, known))
			}
		}
	})
	return out
}

// services are the services on the cluster that the filter selects.
func (c *cluster) services(f Filter, known bool) map[serviceName]*rest.ServiceCluster {
	found := map[serviceName]*rest.ServiceCluster{}
	for i := range c.objects {
		o := &c.objects[i]
		from := o.origin.Value()
		if from.service == "" || !is(f.Team, from.team) || !is(f.Service, from.service) {
			continue
		}
		of := serviceName{from.team, from.service}
		if found[of] == nil {
			found[of] = c.serviceCluster()
		}
		add(found[of], o, from)
	}
	for _, ep := range c.unresolved() {
		from := ep.from.Value()
		on := found[serviceName{from.team, from.service}]
		if on == nil {
			continue
		}
		if on.Episodes++; on.Episodes == 1 {
			on.Status, on.Reason = rest.Degraded, ep.detail.Reason
		}
	}
	if !known {
		for _, on := range found {
			on.Status = rest.Unknown
		}
	}
	return found
}

func (c *cluster) serviceCluster() *rest.ServiceCluster {
	where := c.where()
	return &rest.ServiceCluster{Cluster: c.id, Environment: where.environment, Cloud: where.cloud,
		Status: rest.Ready, AsOf: timeOf(c.heart.received)}
}

// add counts an object of the service in. Replicas add up; where one value stands for all, it is
// that of the worst object, of equals that of the one which changed last.
func add(on *rest.ServiceCluster, o *object, from origin) {
	on.Desired += o.desired
	on.Ready += o.ready
	status, since := o.state.status(), time.Unix(0, o.since).UTC()
	first := on.Since.IsZero()
	if !first && (severity[status] < severity[on.Status] || status == on.Status && !since.After(on.Since)) {
		return
	}
	on.Status, on.Since = status, since
	on.Reason, on.Artifact, on.Revision = o.said.Value().reason, from.artifact, from.revision
}

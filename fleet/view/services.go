package view

import (
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// serviceName identifies a service.
type serviceName struct{ team, service string }

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

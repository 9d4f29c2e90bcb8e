package view

import (
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// Unowned lists the workloads and Flux objects that belong to no team, ordered by cluster and object.
// Of the filter, Team and Service say nothing here.
func (v *View) Unowned(now time.Time, f Filter) []rest.Unowned {
	out := []rest.Unowned{}
	v.each(now, f, func(c *cluster) {
		known, where := c.known(now, v.options.MissesUntilUnknown), c.where()
		for i := range c.objects {
			if c.objects[i].origin.Value().team != "" {
				continue
			}
			o := c.objects[i].rest(known)
			item := rest.Unowned{
				Cluster: c.id, Environment: where.environment, Cloud: where.cloud,
				Object: o.Object, Owner: o.Owner, Status: o.Status, Reason: o.Reason, Service: o.Service, Images: o.Images,
				Since: o.Since, AsOf: timeOf(c.heart.received),
			}
			if f.unowned(item) {
				out = append(out, item)
			}
		}
	})
	return out
}

func (f Filter) unowned(o rest.Unowned) bool {
	return (f.Status == "" || f.Status == o.Status) && f.text(append(o.Images, o.Cluster, o.Object, o.Owner, o.Service, o.Reason)...)
}

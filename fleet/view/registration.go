package view

import (
	"cmp"
	"unique"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// registration is what the platform last said of a cluster.
type registration struct {
	sequence   uint64 // in the stream
	of         unique.Handle[registered]
	suspended  bool
	conditions []condition // in the order of the steps
}

type registered struct {
	namespace, environment, cloud, region, account string
}

type condition struct {
	said  unique.Handle[conditionText]
	since int64
}

type conditionText struct{ kind, status, reason, message string }

func newRegistration(p *event.Registration, sequence uint64) *registration {
	r := &registration{
		sequence:   sequence,
		of:         unique.Make(registered{p.Namespace, p.Environment, p.Cloud, p.Region, p.Account}),
		suspended:  p.Suspended,
		conditions: make([]condition, len(p.Conditions)),
	}
	for i, c := range p.Conditions {
		r.conditions[i].said = unique.Make(conditionText{c.Type, c.Status, c.Reason, cut(c.Message)})
		if !c.Since.IsZero() {
			r.conditions[i].since = c.Since.UnixNano()
		}
	}
	return r
}

// blocked is the first step that has not succeeded.
func (r *registration) blocked(steps []string) (conditionText, bool) {
	for _, step := range steps {
		for _, c := range r.conditions {
			if text := c.said.Value(); text.kind == step && text.status != "True" {
				return text, true
			}
		}
	}
	return conditionText{}, false
}

func (r *registration) rest() []rest.Condition {
	out := make([]rest.Condition, len(r.conditions))
	for i, c := range r.conditions {
		text := c.said.Value()
		out[i] = rest.Condition{Type: text.kind, Status: text.status, Reason: text.reason, Message: text.message, Since: timeOf(c.since)}
	}
	return out
}

// where is the cluster's environment, cloud and region: as registered, else as its events say.
func (c *cluster) where() registered {
	var out registered
	if c.registration != nil {
		out = c.registration.of.Value()
	}
	if c.place == (unique.Handle[place]{}) {
		return out
	}
	seen := c.place.Value()
	out.environment = cmp.Or(out.environment, seen.environment)
	out.cloud = cmp.Or(out.cloud, seen.cloud)
	out.region = cmp.Or(out.region, seen.region)
	return out
}

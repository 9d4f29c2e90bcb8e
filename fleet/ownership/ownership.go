// Package ownership reads whom an object belongs to from its labels. It is pure, and knows nothing of
// Kubernetes.
package ownership

import "strings"

// Owner says whom an object belongs to. Empty fields are not known.
type Owner struct {
	Team, Service, Artifact string
}

// Or is the owner with what it lacks taken from another.
func (o Owner) Or(other Owner) Owner {
	return Owner{first(o.Team, other.Team), first(o.Service, other.Service), first(o.Artifact, other.Artifact)}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Labels names the labels, or annotations, that are read: of several on one object the first counts.
type Labels struct {
	Team     []string
	Service  []string
	Artifact []string
	// Aliases are other names of teams: those that a label may have, to the team that is meant. They
	// are followed once.
	Aliases map[string]string
}

// With are the labels, and after them others that are read too.
func (l Labels) With(others Labels) Labels {
	return Labels{
		Team:     joined(l.Team, others.Team),
		Service:  joined(l.Service, others.Service),
		Artifact: joined(l.Artifact, others.Artifact),
		Aliases:  l.Aliases,
	}
}

func joined(a, b []string) []string { return append(a[:len(a):len(a)], b...) }

// Of reads the owner from an object's places: its labels, its annotations, then those of its pod
// template and so on, in the order in which they count. Each value goes through clean, and one of which
// nothing is left counts as none.
func (l Labels) Of(clean func(string) string, places ...map[string]string) Owner {
	return Owner{
		Team:     l.TeamOf(Lookup(clean, l.Team, places...)),
		Service:  Lookup(clean, l.Service, places...),
		Artifact: Lookup(clean, l.Artifact, places...),
	}
}

// TeamOf is the team that a name stands for.
func (l Labels) TeamOf(name string) string {
	if team, ok := l.Aliases[name]; ok && name != "" {
		return team
	}
	return name
}

// Lookup is the first of the names that any of the places has, place by place.
func Lookup(clean func(string) string, names []string, places ...map[string]string) string {
	for _, place := range places {
		if len(place) == 0 {
			continue
		}
		for _, name := range names {
			if v := place[name]; v != "" {
				if v = strings.TrimSpace(clean(v)); v != "" {
					return v
				}
			}
		}
	}
	return ""
}

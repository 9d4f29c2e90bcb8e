package event

import (
	"errors"
	"fmt"
	"strings"
)

// Streams that hold the events. Their configuration is fleet/bus's.
const (
	StreamEvents     = "FLEET_EVENTS"
	StreamHeartbeats = "FLEET_HEARTBEATS"
)

// Platform is the cluster id of the platform cluster itself. No WorkloadCluster can take it: ids
// are DNS labels, which have no underscore.
const Platform = "_platform"

// Channel is the second half of a subject's prefix: what travels there, and in which direction.
type Channel string

// Channels, with the direction in which they carry.
const (
	ChannelEvent     Channel = "evt" // cluster -> platform, kept in StreamEvents
	ChannelHeartbeat Channel = "hb"  // cluster -> platform, last value kept in StreamHeartbeats
	ChannelCommand   Channel = "cmd" // platform -> cluster, request and reply, not kept
)

const prefix = "fleet.v1."

// Subject is a parsed NATS subject of the contract:
//
//	subject   = "fleet" "." "v1" "." channel
//	channel   = "evt" "." cluster "." kind
//	          | "hb"  "." cluster
//	          | "cmd" "." cluster
//	cluster   = 1*63( lower / digit / "-" ) | "_platform"
//	kind      = "cluster" | "flux" | "workload" | "episode" | "release" | "artifact" | "agent"
type Subject struct {
	Channel Channel
	Cluster string
	Kind    Kind // empty unless Channel is ChannelEvent
}

// ErrSubject is wrapped by ParseSubject for everything outside the grammar.
var ErrSubject = errors.New("subject is outside the grammar")

// String writes the subject. It is the inverse of ParseSubject.
func (s Subject) String() string {
	out := prefix + string(s.Channel) + "." + s.Cluster
	if s.Channel == ChannelEvent {
		out += "." + string(s.Kind)
	}
	return out
}

// ParseSubject reads a subject. What it accepts, String writes back byte for byte.
func ParseSubject(text string) (Subject, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return Subject{}, fmt.Errorf("%w: %q does not start with %q", ErrSubject, text, prefix)
	}
	channel, rest, _ := strings.Cut(rest, ".")
	s := Subject{Channel: Channel(channel), Cluster: rest}
	switch s.Channel {
	case ChannelEvent:
		cluster, kind, ok := strings.Cut(rest, ".")
		if !ok || !Kind(kind).Known() {
			return Subject{}, fmt.Errorf("%w: %q names no known kind", ErrSubject, text)
		}
		s.Cluster, s.Kind = cluster, Kind(kind)
	case ChannelHeartbeat, ChannelCommand:
	default:
		return Subject{}, fmt.Errorf("%w: %q names no known channel", ErrSubject, text)
	}
	if s.Cluster != Platform && !ValidCluster(s.Cluster) {
		return Subject{}, fmt.Errorf("%w: %q names no cluster id", ErrSubject, text)
	}
	return s, nil
}

// ValidCluster says whether id can name a cluster: 1 to 63 lower-case letters, digits and dashes.
func ValidCluster(id string) bool {
	if id == "" || len(id) > 63 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// OfCluster is the subject of a cluster's events of one kind.
func OfCluster(cluster string, kind Kind) Subject {
	return Subject{Channel: ChannelEvent, Cluster: cluster, Kind: kind}
}

// Heartbeats is the subject of a cluster's heartbeats.
func Heartbeats(cluster string) Subject {
	return Subject{Channel: ChannelHeartbeat, Cluster: cluster}
}

// Commands is the subject on which a cluster's agent listens.
func Commands(cluster string) Subject {
	return Subject{Channel: ChannelCommand, Cluster: cluster}
}

// InboxPrefix is the only reply prefix that a cluster's agent may subscribe, so that no agent
// reads another's replies.
func InboxPrefix(cluster string) string { return "_INBOX_" + cluster }

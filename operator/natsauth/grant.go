package natsauth

import (
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/fairway-dev/fairway/api/event"
)

// role of a user, kept in its token as a tag.
type role string

const (
	roleAgent    role = "agent"
	roleHub      role = "hub"
	roleOperator role = "operator"
	roleReader   role = "reader"

	roleTag = "role:"
)

// Bounds on what an agent or a reader can cost the server. A client needs one subscription for its
// inbox and one for each subject that it hears; the streams take messages of at most 256 KiB.
const (
	maxSubscriptions = 64
	maxPayload       = 512 << 10
	answerWithin     = time.Minute
)

// grant is what a user may do: the table of the event contract, "who may do what".
type grant struct {
	role        role
	name        string
	inbox       string
	permissions jwt.Permissions
	limits      jwt.NatsLimits
}

var (
	unlimited = jwt.NatsLimits{Subs: jwt.NoLimit, Data: jwt.NoLimit, Payload: jwt.NoLimit}
	bounded   = jwt.NatsLimits{Subs: maxSubscriptions, Data: jwt.NoLimit, Payload: maxPayload}
)

func grantOfAgent(cluster string) grant {
	inbox := event.InboxPrefix(cluster)
	return grant{
		role: roleAgent, name: cluster, inbox: inbox, limits: bounded,
		permissions: jwt.Permissions{
			Pub: jwt.Permission{Allow: jwt.StringList{
				event.OfCluster(cluster, "*").String(),
				event.Heartbeats(cluster).String(),
			}},
			Sub: jwt.Permission{Allow: jwt.StringList{
				event.Commands(cluster).String(),
				inbox + ".>",
			}},
			Resp: &jwt.ResponsePermission{MaxMsgs: 1, Expires: answerWithin},
		},
	}
}

func grantOfHub() grant {
	return grant{
		role: roleHub, name: string(roleHub), limits: unlimited,
		permissions: jwt.Permissions{
			Pub: jwt.Permission{Allow: jwt.StringList{">"}},
			Sub: jwt.Permission{Allow: jwt.StringList{">"}},
		},
	}
}

func grantOfOperator() grant {
	// A cluster may be called "operator"; none can be called event.Platform.
	inbox := event.InboxPrefix(event.Platform)
	publish := jwt.StringList{
		event.OfCluster(event.Platform, "*").String(),
		event.Commands("*").String(),
	}
	for _, stream := range []string{event.StreamEvents, event.StreamHeartbeats} {
		publish = append(publish, consume(stream)...)
		publish = append(publish, "$JS.API.CONSUMER.DELETE."+stream+".>")
	}
	return grant{
		role: roleOperator, name: string(roleOperator), inbox: inbox, limits: unlimited,
		permissions: jwt.Permissions{
			Pub: jwt.Permission{Allow: publish},
			Sub: jwt.Permission{Allow: jwt.StringList{inbox + ".>"}},
		},
	}
}

func grantOfReader(name string) grant {
	// With the underscore no reader shares its inbox with a cluster of the same name.
	inbox := event.InboxPrefix("_reader-" + name)
	return grant{
		role: roleReader, name: name, inbox: inbox, limits: bounded,
		permissions: jwt.Permissions{
			Pub: jwt.Permission{Allow: read(event.StreamEvents, name)},
			Sub: jwt.Permission{Allow: jwt.StringList{inbox + ".>"}},
		},
	}
}

// consume is what reading a stream through consumers takes: to make one, look at it, ask for its
// next messages, acknowledge them, and answer flow control.
func consume(stream string) jwt.StringList {
	return jwt.StringList{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".>",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".>",
		"$JS.ACK." + stream + ".>",
		"$JS.FC." + stream + ".>",
	}
}

// read is what reading a stream takes for who may disturb nobody. Ordered consumers have random names,
// so making, looking at and reading cannot be narrowed to one's own; acknowledging and deleting can:
// to the durable consumer of the reader's name. Older clients make consumers by the other two subjects.
func read(stream, durable string) jwt.StringList {
	return jwt.StringList{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.CONSUMER.CREATE." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + stream + "." + durable,
		"$JS.API.CONSUMER.INFO." + stream + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*",
		"$JS.API.CONSUMER.DELETE." + stream + "." + durable,
		"$JS.ACK." + stream + "." + durable + ".>",
		"$JS.FC." + stream + ".>",
	}
}

// grantOf is what a token of this name and role would be granted now.
func grantOf(claims *jwt.UserClaims) (grant, bool) {
	for _, tag := range claims.Tags {
		name, ok := strings.CutPrefix(tag, roleTag)
		if !ok {
			continue
		}
		switch role(name) {
		case roleAgent:
			return grantOfAgent(claims.Name), true
		case roleHub:
			return grantOfHub(), true
		case roleOperator:
			return grantOfOperator(), true
		case roleReader:
			return grantOfReader(claims.Name), true
		}
	}
	return grant{}, false
}

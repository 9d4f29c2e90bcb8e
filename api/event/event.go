// Package event is the contract between clusters and whoever reads about them: the subjects, the
// CloudEvents envelope and the payload of every type. It knows nothing of NATS or Kubernetes.
//
// On the wire an event is a CloudEvent 1.0 in structured JSON (ContentType). Whoever publishes is
// known by the subject that its credentials allow, never by what the event says of itself:
// readers compare Event.Cluster with the subject's.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ContentType is the Content-Type header of every message that carries an event.
const ContentType = "application/cloudevents+json"

// MaxSize is the largest event in bytes that is published or accepted.
const MaxSize = 256 << 10

const (
	specVersion  = "1.0"
	jsonData     = "application/json"
	sourcePrefix = "/clusters/"
)

// Event is one CloudEvent. Field names on the wire are CloudEvents' own and Fairway's extensions,
// all lower case.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`                // UUIDv7, random: nobody can guess and suppress another's
	Source          string    `json:"source"`            // "/clusters/<id>"
	Type            Type      `json:"type"`              // see the constants
	Subject         string    `json:"subject,omitempty"` // Object.String of what it is about
	Time            time.Time `json:"time"`              // when it happened in the cluster, not when it was sent
	DataContentType string    `json:"datacontenttype,omitempty"`

	// Epoch is one life of the sender's outbox, a UUIDv7: a later life sorts after an earlier one.
	Epoch string `json:"epoch,omitempty"`
	// Sequence counts the events of an epoch from 1, without holes. A string on the wire, since
	// CloudEvents integers end at 2^31.
	Sequence uint64 `json:"sequence,omitempty,string"`

	Environment string `json:"environment,omitempty"`
	Cloud       string `json:"cloud,omitempty"`
	Region      string `json:"region,omitempty"`
	Team        string `json:"team,omitempty"`
	Service     string `json:"service,omitempty"`  // name within the team
	Artifact    string `json:"artifact,omitempty"` // id of what the object was released from
	Revision    string `json:"revision,omitempty"` // Git commit, in Flux's form: main@sha1:<hex>
	TraceParent string `json:"traceparent,omitempty"`

	Data json.RawMessage `json:"data,omitempty"` // the payload of Type, as JSON
}

// New makes an event about obj on a cluster. The sender sets ID, Epoch and Sequence when it
// commits the event, and the cluster's own attributes. It fails only when data cannot be written
// as JSON.
func New(cluster string, typ Type, obj Object, at time.Time, data any) (Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("encode %s of %s: %w", typ, obj, err)
	}
	return Event{
		SpecVersion: specVersion, Source: Source(cluster), Type: typ, Subject: obj.String(),
		Time: at.UTC(), DataContentType: jsonData, Data: raw,
	}, nil
}

// Source is the CloudEvents source of a cluster's events.
func Source(cluster string) string { return sourcePrefix + cluster }

// Cluster is the cluster id in the event's source, or "" when the source is not a cluster's.
func (e *Event) Cluster() string {
	id, ok := strings.CutPrefix(e.Source, sourcePrefix)
	if !ok {
		return ""
	}
	return id
}

// Object is what the event is about; the zero Object when it is about the cluster.
func (e *Event) Object() Object {
	obj, err := ParseObject(e.Subject)
	if err != nil {
		return Object{}
	}
	return obj
}

// Payload decodes the event's data into out, a pointer to the struct of its Type.
func (e *Event) Payload(out any) error {
	if err := json.Unmarshal(e.Data, out); err != nil {
		return fmt.Errorf("decode data of %s %s: %w", e.Type, e.ID, err)
	}
	return nil
}

// Encode writes the event as it goes on the wire.
func (e *Event) Encode() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("%w: %s is %d bytes, at most %d are sent", ErrInvalid, e.Type, len(out), MaxSize)
	}
	return out, nil
}

// ErrInvalid is wrapped by Decode, Encode and Validate for what is not an event of the contract.
var ErrInvalid = errors.New("not an event of the contract")

// Validate says what is missing or malformed in the envelope. It does not look into the data.
func (e *Event) Validate() error {
	var what string
	switch cluster := e.Cluster(); {
	case e.SpecVersion != specVersion:
		what = fmt.Sprintf("specversion %q, want %q", e.SpecVersion, specVersion)
	case e.ID == "":
		what = "id is empty"
	case e.Type.Kind() == "":
		what = fmt.Sprintf("type %q is not dev.fairway.<kind>.<what>.v1", e.Type)
	case cluster != Platform && !ValidCluster(cluster):
		what = fmt.Sprintf("source %q is not /clusters/<id>", e.Source)
	case e.Time.IsZero():
		what = "time is missing"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, what)
}

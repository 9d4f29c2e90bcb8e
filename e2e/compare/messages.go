package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// fluxMessage is what the nats provider publishes: the fields of Flux's Event that say what happened. notification-controller
// takes the API group off the keys of the metadata.
type fluxMessage struct {
	InvolvedObject struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"involvedObject"`
	Severity string            `json:"severity"`
	Reason   string            `json:"reason"`
	Message  string            `json:"message"`
	Metadata map[string]string `json:"metadata"`
}

// readFlux reads a message of the nats provider in its favour: anything that it says of an object at a revision counts as
// having told that the revision was applied, or with severity error, that it failed. ok is false when it names no revision.
func readFlux(data []byte, at time.Time) (t told, ok bool, err error) {
	var m fluxMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return told{}, false, fmt.Errorf("decode message of notification-controller: %w", err)
	}
	obj := event.Object{Kind: m.InvolvedObject.Kind, Namespace: m.InvolvedObject.Namespace, Name: m.InvolvedObject.Name}
	if obj.Kind == "" || obj.Name == "" {
		return told{}, false, fmt.Errorf("decode message of notification-controller: it is about no object: %.200s", data)
	}
	c := change{Object: obj, Revision: m.Metadata["revision"], Outcome: applied}
	if m.Severity == "error" {
		c.Outcome = failed
	}
	id := strings.Join([]string{obj.String(), c.Revision, m.Severity, m.Reason, m.Message}, "\n")
	return told{c, id, at}, c.Revision != "", nil
}

// readFairway reads an event of FLEET_EVENTS. ok is false when it does not say how a revision ended on an object of cluster.
func readFairway(cluster string, data []byte, at time.Time) (t told, ok bool, err error) {
	e, err := event.Decode(data)
	if err != nil {
		return told{}, false, fmt.Errorf("decode event of Fairway: %w", err)
	}
	if e.Cluster() != cluster || e.Type.Kind() != event.KindFlux {
		return told{}, false, nil
	}
	var flux event.Flux
	if err := e.Payload(&flux); err != nil {
		return told{}, false, fmt.Errorf("decode payload of event %s: %w", e.ID, err)
	}
	c := change{Object: e.Object()}
	switch e.Type {
	case event.FluxSucceeded:
		c.Revision, c.Outcome = flux.AppliedRevision, applied
	case event.FluxFailed, event.FluxStalled:
		c.Revision, c.Outcome = flux.AttemptedRevision, failed
	}
	return told{c, e.ID, at}, c.Revision != "", nil
}
